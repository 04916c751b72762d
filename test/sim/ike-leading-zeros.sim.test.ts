import { describe, expect, test } from 'vitest';
import { nobleCrypto } from '../../src/crypto/noble.ts';
import { nodeCrypto } from '../../src/crypto/node.ts';
import type { CryptoProvider } from '../../src/crypto/types.ts';
import { deriveSkKeys, skeyseed } from '../../src/ike/keymat.ts';
import type { IkeSuite } from '../../src/ike/types.ts';
import { decodeMessage, findPayload } from '../../src/ike/wire/message.ts';
import { fromHex, toHex } from '../../src/lib/bytes.ts';
import { fixedRandom } from '../unit/crypto/random-sources.ts';
import { loadVectors } from '../unit/load-vectors.ts';
import type { IkeHost } from './pair.ts';
import { IkePair } from './pair.ts';

interface Vector {
  readonly name: string;
  readonly group: 14 | 24;
  readonly privateI: string;
  readonly publicI: string;
  readonly privateR: string;
  readonly publicR: string;
  readonly shared: string;
}

const VECTORS = loadVectors<Vector[]>('crypto/key-exchange.json').filter(({ publicI, publicR, shared }) =>
  [publicI, publicR, shared].every((hex) => hex.length === 512 && hex.startsWith('00')),
);
const PROVIDERS = [nodeCrypto, nobleCrypto];
const PAIRS = PROVIDERS.flatMap((one) => PROVIDERS.map((other) => [one, other] as const));

test('both MODP groups have a vector with leading zeros everywhere', () => {
  expect(VECTORS.map(({ group }) => group)).toEqual([14, 24]);
});

describe.each(VECTORS)('$name', (vector) => {
  const suite: IkeSuite = { encryption: 'aes256', integrity: 'sha384', dhGroup: vector.group };
  const suites = { ikeSuites: [suite], espSuites: [{ encryption: 'gcmAes256', pfsGroup: vector.group } as const] };

  test.each(PAIRS.map(([one, other]) => ({ one, other, names: `${one.name} and ${other.name}` })))(
    'connect and rekey both kinds with $names',
    ({ one, other }) => {
      const crypto = scripted(vector, one, other);
      const pair = new IkePair({ crypto, initiator: { ...suites, exportKeys: true }, responder: suites });
      pair.start().establish(1_000);
      expectPaddedKeys(pair, vector, suite);
      for (const host of [pair.initiator, pair.responder])
        for (const what of ['child', 'ike'] as const) {
          const before = [host.view.spiI, host.view.child?.spiIn];
          host.feed({ kind: 'rekey', what });
          pair.clock.advance(6_000);
          expect([host.view.spiI, host.view.child?.spiIn].filter((spi, i) => spi !== before[i])).toHaveLength(1);
          expect(keyOf(pair.initiator, 'outbound')).toBe(keyOf(pair.responder, 'inbound'));
          expect(keyOf(pair.initiator, 'inbound')).toBe(keyOf(pair.responder, 'outbound'));
        }
      expect(pair.initiator.view.rekeyError ?? pair.responder.view.rekeyError).toBeUndefined();
    },
  );
});

/** The end that begins an exchange has the one private value and provider, the other end the other. */
function scripted({ privateI, privateR }: Vector, one: CryptoProvider, other: CryptoProvider): CryptoProvider {
  let asked = 0;
  return {
    ...one,
    keyExchange: (group) =>
      asked++ % 2 === 0
        ? one.keyExchange(group, fixedRandom(fromHex(privateI)))
        : other.keyExchange(group, fixedRandom(fromHex(privateR))),
  };
}

/** The keys follow from all 256 octets on the wire and of the secret, and from no fewer. */
function expectPaddedKeys(pair: IkePair, { publicI, publicR, shared }: Vector, suite: IkeSuite): void {
  const [request, response] = pair.network.sent.slice(0, 2).map(({ bytes }) => {
    const message = decodeMessage(bytes);
    if (!message.ok) throw message.error;
    const { payloads, header } = message.value;
    return { ke: findPayload(payloads, 'ke'), nonce: findPayload(payloads, 'nonce')?.nonce, header };
  });
  expect([request, response].map((message) => toHex(message?.ke?.publicValue ?? new Uint8Array(0)))).toEqual([
    publicI,
    publicR,
  ]);
  const nonces = { ni: request?.nonce ?? new Uint8Array(0), nr: response?.nonce ?? new Uint8Array(0) };
  const seed = skeyseed(nodeCrypto, suite, nonces, fromHex(shared));
  const { spiI, spiR } = response?.header ?? { spiI: new Uint8Array(8), spiR: new Uint8Array(8) };
  const keys = deriveSkKeys(nodeCrypto, suite, seed, nonces, spiI, spiR);
  expect(pair.initiator.all('keys')[0]?.ike).toMatchObject({ skEi: toHex(keys.ei), skAr: toHex(keys.ar) });
}

function keyOf({ sending }: IkeHost, direction: 'inbound' | 'outbound'): string {
  const sa = sending?.[direction];
  return sa === undefined ? 'none' : `${sa.spi} ${toHex(sa.key.reveal())}`;
}
