import { expect, it } from 'vitest';
import { nobleCrypto } from '../../../src/crypto/noble.ts';
import { nodeCrypto, systemRandom } from '../../../src/crypto/node.ts';
import { selfTest } from '../../../src/crypto/self-test.ts';
import { referenceEsp } from '../../../src/esp/reference.ts';
import { loadAddon } from '../../../src/io/addon.ts';
import type { Cipher, NativeSa } from '../../../src/io/native.ts';
import type { EspSa } from '../../../src/lib/esp-sa.ts';
import { ok } from '../../../src/lib/result.ts';
import { ADMITTED_CIPHERS } from '../../netns/ciphers.ts';
import { type EspUnderTest, espConformance } from './conformance.ts';

const addon = loadAddon();
const packetPath = (cipher: Cipher): EspUnderTest => ({
  seal: (sa, sequence, innerPacket) => addon.espSeal(nativeSa(sa, cipher), sequence, innerPacket),
  open: (sa, packet, highest) => addon.espOpen(nativeSa(sa, cipher), packet, highest),
  createReplayWindow: (size) => addon.createReplayWindow(size),
});

for (const cipher of ADMITTED_CIPHERS) espConformance(`the packet path with ${cipher}`, packetPath(cipher));

it('passes the power-on self-test beside the readable core and both crypto providers', () => {
  const native = ADMITTED_CIPHERS.map((name) => ({ name, ...packetPath(name) }));
  const esp = [referenceEsp(nobleCrypto), ...native];
  for (let run = 0; run < 5; run++)
    expect(selfTest([nodeCrypto, nobleCrypto], systemRandom, esp)).toEqual(ok(undefined));
});

function nativeSa(sa: EspSa, cipher: Cipher): NativeSa {
  return { spi: sa.spi, key: sa.key.reveal(), salt: sa.salt.reveal(), esn: sa.esn, replayWindow: 64, cipher };
}
