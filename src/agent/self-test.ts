import { nobleCrypto } from '../crypto/noble.ts';
import { nodeCryptoWith, systemRandom } from '../crypto/node.ts';
import { type EspImplementation, selfTest } from '../crypto/self-test.ts';
import type { CryptoProvider } from '../crypto/types.ts';
import { referenceEsp } from '../esp/reference.ts';
import type { NativeAddon, NativeSa } from '../io/native.ts';
import type { EspSa } from '../lib/esp-sa.ts';
import { err, type Result } from '../lib/result.ts';
import { rehearseHandshakes } from './rehearsal.ts';

/** Anti-replay plays no part in sealing and opening single packets. */
const SMALLEST_REPLAY_WINDOW = 64;

/**
 * The power-on self-test: both crypto providers against each other, the packet path against the readable ESP, and IKE with
 * itself, before the first key is made. The error is one sentence; the daemon must not start with it.
 */
export function powerOnSelfTest(
  addon: Pick<NativeAddon, 'agreeEcp' | 'espSeal' | 'espOpen'>,
  crypto: CryptoProvider,
): Result<void, string> {
  try {
    const esp = [referenceEsp(nobleCrypto), packetPath(addon)];
    const result = selfTest([nodeCryptoWith(addon.agreeEcp), nobleCrypto], systemRandom, esp);
    const rehearsed = result.ok ? rehearseHandshakes(crypto, systemRandom) : result;
    return rehearsed.ok ? rehearsed : refusal(rehearsed.error);
  } catch (error) {
    return refusal(error instanceof Error ? error.message : String(error));
  }
}

function packetPath(addon: Pick<NativeAddon, 'espSeal' | 'espOpen'>): EspImplementation {
  return {
    name: 'packet path',
    seal: (sa, sequence, innerPacket) => addon.espSeal(nativeSa(sa), sequence, innerPacket),
    open: (sa, packet) => addon.espOpen(nativeSa(sa), packet),
  };
}

const nativeSa = (sa: EspSa): NativeSa => ({
  spi: sa.spi,
  key: sa.key.reveal(),
  salt: sa.salt.reveal(),
  esn: sa.esn,
  replayWindow: SMALLEST_REPLAY_WINDOW,
});

const refusal = (mismatch: string): Result<void, string> =>
  err(
    `the cryptographic self-test failed: ${mismatch}. Nothing is sent with such cryptography: ` +
      'reinstall Node.js and tunwright, and check the memory of this machine',
  );
