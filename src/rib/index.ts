export { selectPaths } from './best-path.ts';
export { LocRib, type RibChanges, type RibRoute } from './loc-rib.ts';
export type * from './types.ts';
