import { expect, it } from 'vitest';
import { nodeCrypto, systemRandom } from '../../../src/crypto/node.ts';
import { cryptoConformance } from './conformance.ts';

cryptoConformance('node', nodeCrypto);

it('systemRandom gives as many octets as asked for, other ones each time', () => {
  expect(systemRandom.bytes(0)).toEqual(new Uint8Array(0));
  expect(systemRandom.bytes(100_000)).toHaveLength(100_000);
  expect(systemRandom.bytes(16)).not.toEqual(systemRandom.bytes(16));
});
