export { IkeConnection } from './connection.ts';
export {
  DEFAULT_ESP_SUITES,
  DEFAULT_IKE_SUITES,
  describeEspSuite,
  describeIkeSuite,
  ESP_MIX,
  IKE_MIX,
  preferHybridEsp,
  preferHybridIke,
} from './suites.ts';
export type * from './types.ts';
