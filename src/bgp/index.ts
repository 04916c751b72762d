export { asPathLength, firstAs, formatAsPath } from './as-path.ts';
export { ImportJudge, type ImportPolicy, type Verdict } from './import-policy.ts';
export { type MrtRoute, tableDump } from './mrt.ts';
export { exportRoutes } from './route-rules.ts';
export { BgpSession } from './session.ts';
export type * from './types.ts';
export { CeaseSubcode } from './wire/iana.ts';
