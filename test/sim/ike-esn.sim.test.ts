import { describe, expect, test } from 'vitest';
import type { EsnPolicy } from '../../src/ike/types.ts';
import { IkePair } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

describe('extended sequence numbers', () => {
  test.each<[EsnPolicy | undefined, EsnPolicy | undefined, boolean]>([
    [undefined, undefined, true],
    ['offer', 'off', false],
    ['off', 'offer', false],
    ['require', 'offer', true],
  ])(
    'initiator %s, responder %s: %s at both ends, from the first CHILD_SA on and after rekeys by either',
    (a, b, esn) => {
      const pair = connected(a, b);
      for (const end of [undefined, 'initiator', 'responder'] as const) {
        if (end !== undefined) pair[end].feed({ kind: 'rekey', what: 'child' });
        pair.clock.advance(10_000);
        for (const { sending } of [pair.initiator, pair.responder])
          expect(sending).toMatchObject({ inbound: { esn }, outbound: { esn } });
        expect(pair.initiator.sending?.outbound.spi).toBe(pair.responder.sending?.inbound.spi);
      }
      const made = pair.initiator.all('history').filter(({ event }) => event.proposal.includes('GCM'));
      const tail = esn ? '/ESN' : '';
      expect(made.map(({ event }) => event.proposal)).toEqual([
        `AES_GCM_16_256${tail}`,
        `AES_GCM_16_256/ECP_384${tail}`,
        `AES_GCM_16_256/ECP_384${tail}`,
      ]);
      // The view says it in a key of its own.
      expect(pair.initiator.view.child?.suite).toBe('AES_GCM_16_256');
    },
  );

  test('one that insists and one that refuses do not connect, and the reason names what was offered', () => {
    const pair = connected('require', 'off');
    expect(pair.initiator.view.child).toBeUndefined();
    expect(pair.initiator.view.lastError).toMatch(/refused our ESP proposal .*: we offered AES_GCM_16_256\/ESN;/);
  });
});

function connected(initiator: EsnPolicy | undefined, responder: EsnPolicy | undefined): IkePair {
  const of = (esn: EsnPolicy | undefined) => (esn === undefined ? {} : { esn });
  const pair = new IkePair({ crypto: quickCrypto, initiator: of(initiator), responder: of(responder) }).start();
  pair.clock.advance(1_000);
  return pair;
}
