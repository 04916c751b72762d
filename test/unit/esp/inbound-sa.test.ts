import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { InboundSa } from '../../../src/esp/inbound-sa.ts';
import { sealPacket } from '../../../src/esp/packet.ts';
import { ReplayWindow } from '../../../src/esp/replay-window.ts';
import { concat, Writer } from '../../../src/lib/bytes.ts';
import type { EspSa } from '../../../src/lib/esp-sa.ts';
import { err } from '../../../src/lib/result.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { ipv4 } from './inner-packets.ts';

const PLAIN: EspSa = {
  spi: 0x1234,
  key: new Secret(new Uint8Array(16).fill(7)),
  salt: new Secret(Uint8Array.of(1, 2, 3, 4)),
  esn: false,
};
const ESN: EspSa = { ...PLAIN, esn: true };

describe('InboundSa', () => {
  it('drops a replayed packet and one older than the window, with their reasons', () => {
    const inbound = new InboundSa(PLAIN, new ReplayWindow(64), nodeCrypto);
    expect(inbound.receive(sealed(PLAIN, 1n)).ok).toBe(true);
    expect(inbound.receive(sealed(PLAIN, 1n))).toEqual(err('replayed'));
    expect(inbound.receive(sealed(PLAIN, 65n)).ok).toBe(true);
    expect(inbound.receive(sealed(PLAIN, 1n))).toEqual(err('too-old'));
    expect(inbound.receive(sealed(PLAIN, 2n)).ok).toBe(true);
  });

  it('a forged packet neither moves the window nor uses up its number', () => {
    const inbound = new InboundSa(PLAIN, new ReplayWindow(64), nodeCrypto);
    expect(inbound.receive(sealed(PLAIN, 1n)).ok).toBe(true);
    const forged = sealed(PLAIN, 1000n).fill(0, -1);
    expect(inbound.receive(forged)).toEqual(err('not-authentic'));
    expect(inbound.receive(sealed(PLAIN, 2n)).ok).toBe(true);
    expect(inbound.receive(sealed(PLAIN, 1000n)).ok).toBe(true);
  });

  it('another SPI is not authentic, and leaves the number unused', () => {
    const inbound = new InboundSa(PLAIN, new ReplayWindow(64), nodeCrypto);
    expect(inbound.receive(sealed({ ...PLAIN, spi: 0x9999 }, 1n))).toEqual(err('not-authentic'));
    expect(inbound.receive(sealed(PLAIN, 1n)).ok).toBe(true);
  });

  it('a packet that is no ESP packet is malformed', () => {
    const inbound = new InboundSa(PLAIN, new ReplayWindow(64), nodeCrypto);
    expect(inbound.receive(sealed(PLAIN, 1n).subarray(0, 35))).toEqual(err('malformed'));
    expect(inbound.receive(new Uint8Array(0))).toEqual(err('malformed'));
  });

  it('an authentic packet uses up its number, whatever it carries', () => {
    const inbound = new InboundSa(PLAIN, new ReplayWindow(64), nodeCrypto);
    expect(inbound.receive(carrying(PLAIN, 1, Uint8Array.of(1, 2, 2, 17)))).toEqual(err('malformed'));
    expect(inbound.receive(carrying(PLAIN, 1, Uint8Array.of(1, 2, 2, 17)))).toEqual(err('replayed'));
    expect(inbound.receive(carrying(PLAIN, 2, Uint8Array.of(1, 2, 2, 59)))).toMatchObject({
      value: { kind: 'dummy', sequence: 2n },
    });
    expect(inbound.receive(carrying(PLAIN, 2, Uint8Array.of(1, 2, 2, 59)))).toEqual(err('replayed'));
  });

  it('without ESN the number does not continue beyond 2^32', () => {
    const inbound = new InboundSa(PLAIN, new ReplayWindow(64), nodeCrypto);
    expect(inbound.receive(sealed(PLAIN, 0xffff_ffffn)).ok).toBe(true);
    expect(inbound.receive(sealed(PLAIN, 1n))).toEqual(err('too-old'));
  });
});

describe('InboundSa with extended sequence numbers', () => {
  it('follows the sender over the 2^32 boundary, in and out of order', () => {
    const inbound = new InboundSa(ESN, new ReplayWindow(64), nodeCrypto);
    const boundary = 1n << 32n;
    const order = [-40n, -2n, 3n, -1n, 0n, 1n, -3n, 2n, 40n, -20n];
    for (const offset of order) {
      const received = inbound.receive(sealed(ESN, boundary + offset));
      expect(received, `2^32 + ${offset}`).toMatchObject({ ok: true, value: { sequence: boundary + offset } });
    }
    for (const offset of order.slice(1)) {
      const again = inbound.receive(sealed(ESN, boundary + offset));
      expect(again, `2^32 + ${offset} again`).toMatchObject({ ok: false });
    }
  });

  it('takes a packet of the previous 2^32 for one of the next, where the ICV stops it', () => {
    const inbound = new InboundSa(ESN, new ReplayWindow(64), nodeCrypto);
    expect(inbound.receive(sealed(ESN, 1n << 31n)).ok).toBe(true);
    expect(inbound.receive(sealed(ESN, 1n << 32n)).ok).toBe(true);
    expect(inbound.receive(sealed(ESN, (1n << 32n) - 65n))).toEqual(err('not-authentic'));
    expect(inbound.receive(sealed(ESN, (1n << 32n) + 1n)).ok).toBe(true);
  });

  it('a sender that starts over is not followed', () => {
    const inbound = new InboundSa(ESN, new ReplayWindow(64), nodeCrypto);
    expect(inbound.receive(sealed(ESN, 500n)).ok).toBe(true);
    expect(inbound.receive(sealed(ESN, 1n))).toEqual(err('not-authentic'));
  });
});

function sealed(sa: EspSa, sequence: bigint): Uint8Array {
  return sealPacket(sa, sequence, ipv4(8), nodeCrypto);
}

/** An authentic packet with this plaintext, trailer included. */
function carrying(sa: EspSa, sequence: number, plaintext: Uint8Array): Uint8Array {
  const aad = new Writer().u32(sa.spi).u32(sequence).finish();
  const iv = new Uint8Array(8).fill(sequence);
  return concat(aad, iv, nodeCrypto.aesGcmSeal(sa.key.reveal(), concat(sa.salt.reveal(), iv), aad, plaintext));
}
