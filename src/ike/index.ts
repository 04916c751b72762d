export { IkeConnection } from './connection.ts';
export {
  DEFAULT_ESP_SUITES,
  DEFAULT_IKE_SUITES,
  describeEspSuite,
  describeIkeSuite,
  ESP_MIX,
  IKE_MIX,
} from './suites.ts';
export type {
  EspSuite,
  ExportedIkeKeys,
  Identity,
  IkeConfig,
  IkeDependencies,
  IkeHistoryEvent,
  IkeInput,
  IkeOutput,
  IkeSuite,
  IkeView,
} from './types.ts';
