import type { EspSa } from '../lib/esp-sa.ts';
import { InboundSa } from './inbound-sa.ts';
import { type EspCipher, sealPacket } from './packet.ts';
import { ReplayWindow } from './replay-window.ts';

const SMALLEST_REPLAY_WINDOW = 64;

/** This core in the shape that the power-on self-test compares with the packet path. */
export function referenceEsp(cipher: EspCipher) {
  return {
    name: 'reference',
    seal: (sa: EspSa, sequence: bigint, innerPacket: Uint8Array) => sealPacket(sa, sequence, innerPacket, cipher),
    /** As a receiver that has seen `highest` and nothing else; 0 for the first packet of an SA. */
    open(sa: EspSa, packet: Uint8Array, highest = 0n): { sequence: bigint; innerPacket: Uint8Array } | undefined {
      const window = new ReplayWindow(SMALLEST_REPLAY_WINDOW);
      if (highest > 0n) window.mark(highest);
      const received = new InboundSa(sa, window, cipher).receive(packet);
      return received.ok && received.value.kind === 'packet' ? received.value : undefined;
    },
  };
}
