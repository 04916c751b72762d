export { AnnouncedPrefixes } from './announced-prefixes.ts';
export { LocRib } from './loc-rib.ts';
export type * from './types.ts';
