export { AdjRibIn, type ReceivedRoute } from './adj-rib-in.ts';
export { asPathLength, firstAs, formatAsPath } from './as-path.ts';
export { evaluateImport, type ImportPolicy } from './import-policy.ts';
export { BgpSession } from './session.ts';
export type * from './types.ts';
export { CeaseSubcode } from './wire/iana.ts';
