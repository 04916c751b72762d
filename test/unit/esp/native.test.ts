import { expect, it } from 'vitest';
import { nobleCrypto } from '../../../src/crypto/noble.ts';
import { nodeCrypto, systemRandom } from '../../../src/crypto/node.ts';
import { selfTest } from '../../../src/crypto/self-test.ts';
import { referenceEsp } from '../../../src/esp/reference.ts';
import { loadAddon } from '../../../src/io/addon.ts';
import type { NativeSa } from '../../../src/io/native.ts';
import type { EspSa } from '../../../src/lib/esp-sa.ts';
import { ok } from '../../../src/lib/result.ts';
import { type EspUnderTest, espConformance } from './conformance.ts';

const addon = loadAddon();
const packetPath: EspUnderTest = {
  seal: (sa, sequence, innerPacket) => addon.espSeal(nativeSa(sa), sequence, innerPacket),
  open: (sa, packet, highest) => addon.espOpen(nativeSa(sa), packet, highest),
  createReplayWindow: (size) => addon.createReplayWindow(size),
};

espConformance('the packet path', packetPath);

it('passes the power-on self-test beside the readable core and both crypto providers', () => {
  const esp = [referenceEsp(nobleCrypto), { name: 'native', ...packetPath }];
  for (let run = 0; run < 5; run++)
    expect(selfTest([nodeCrypto, nobleCrypto], systemRandom, esp)).toEqual(ok(undefined));
});

function nativeSa(sa: EspSa): NativeSa {
  return { spi: sa.spi, key: sa.key.reveal(), salt: sa.salt.reveal(), esn: sa.esn, replayWindow: 64 };
}
