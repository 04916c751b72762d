export { samePath } from './path.ts';
export { Rib } from './rib.ts';
export type * from './types.ts';
