export { LocRib } from './loc-rib.ts';
export type * from './types.ts';
