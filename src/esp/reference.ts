import type { EspSa } from '../lib/esp-sa.ts';
import { InboundSa } from './inbound-sa.ts';
import { type EspCipher, sealPacket } from './packet.ts';

const SMALLEST_REPLAY_WINDOW = 64;

/** This core in the shape that the power-on self-test compares with the packet path; `open` sees each packet as its SA's first. */
export function referenceEsp(cipher: EspCipher) {
  return {
    name: 'reference',
    seal: (sa: EspSa, sequence: bigint, innerPacket: Uint8Array) => sealPacket(sa, sequence, innerPacket, cipher),
    open(sa: EspSa, packet: Uint8Array): { sequence: bigint; innerPacket: Uint8Array } | undefined {
      const received = new InboundSa(sa, SMALLEST_REPLAY_WINDOW, cipher).receive(packet);
      return received.ok && received.value.kind === 'packet' ? received.value : undefined;
    },
  };
}
