import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/lib/secret.ts';
import { IkePair } from './pair.ts';

const CLOUD = { type: 'fqdn', name: 'gw.example.net' } as const;
const SOMEBODY_ELSES = Secret.fromText('another-PSK-0123456789');
const DIFFERENCE = '198.51.100.20 identified itself as gw.example.net (ID_FQDN); expected 198.51.100.20 (ID_IPV4_ADDR)';

describe("the peer's identity", () => {
  test('a guess that is wrong is remarked in the history, and the PSK decides', () => {
    const pair = new IkePair({ initiator: { remoteIdStrict: false }, responder: { localId: CLOUD } })
      .start()
      .establish();
    const rows = pair.initiator.all('history').map(({ event }) => [event.exchange, event.result, event.reason]);
    expect(rows).toEqual([
      ['IKE_SA_INIT', 'ok', ''],
      [
        'IKE_AUTH',
        'ok',
        `${DIFFERENCE}. Accepted, because the pre-shared key proves it; write the remote identity down to insist`,
      ],
    ]);
  });

  test('a guess that is right is worth no remark', () => {
    const pair = new IkePair({ initiator: { remoteIdStrict: false } }).start().establish();
    expect(pair.initiator.all('history').map(({ event }) => event.reason)).toEqual(['', '']);
  });

  test('a guess never replaces the proof', () => {
    const otherKey = { localId: CLOUD, psk: SOMEBODY_ELSES };
    const pair = new IkePair({ initiator: { remoteIdStrict: false }, responder: otherKey }).start();
    pair.clock.advance(2_000);
    expect(pair.initiator.all('child-up')).toEqual([]);
    expect(pair.initiator.view.lastError).toContain('AUTHENTICATION_FAILED');
  });

  test.each([true, undefined])('an identity that was written down is a condition (remoteIdStrict: %s)', (strict) => {
    const initiator = strict === undefined ? {} : { remoteIdStrict: strict };
    const pair = new IkePair({ initiator, responder: { localId: CLOUD } }).start();
    pair.clock.advance(2_000);
    expect(pair.initiator.all('child-up')).toEqual([]);
    expect(pair.initiator.view.lastError).toBe(
      `${DIFFERENCE}: set the remote identity to what the peer sends, or to any`,
    );
  });
});

describe('the history', () => {
  test("shows the responder's SPI from the exchange that brought it", () => {
    const { initiator } = new IkePair().start().establish();
    const { spiI, spiR } = initiator.view;
    expect(spiR).toMatch(/^[0-9a-f]{16}$/);
    expect(spiR).not.toBe('0000000000000000');
    const rows = initiator.all('history').map(({ event }) => [event.exchange, event.spiI, event.spiR]);
    expect(rows).toEqual([
      ['IKE_SA_INIT', spiI, spiR],
      ['IKE_AUTH', spiI, spiR],
    ]);
  });

  test('shows zero while there is no responder SPI', () => {
    const pair = new IkePair({ weather: { loss: 1, duplication: 0, delayMs: { min: 5, max: 5 } } }).start();
    pair.clock.advance(600_000);
    expect(pair.initiator.all('history')[0]?.event).toMatchObject({ result: 'timeout', spiR: '0000000000000000' });
  });
});
