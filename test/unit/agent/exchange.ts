import type { IkeHistoryEvent } from '../../../src/ike/types.ts';

/** An exchange that went well, optionally changed. */
export const exchange = (changes: Partial<IkeHistoryEvent>): IkeHistoryEvent => ({
  exchange: 'IKE_AUTH',
  direction: 'out',
  messageId: 1,
  result: 'ok',
  reason: '',
  spiI: '0102030405060708',
  spiR: '1112131415161718',
  proposal: 'AES_GCM_16_256',
  peer: '198.51.100.20',
  durationMs: 12,
  proposalLocal: 'AES_GCM_16_256/ESN+NO_ESN',
  proposalPeer: 'AES_GCM_16_256/ESN',
  notifySent: 'INITIAL_CONTACT',
  notifyReceived: '',
  nat: '',
  ...changes,
});
