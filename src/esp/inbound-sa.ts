import type { EspSa } from '../lib/esp-sa.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { decodeHeader, type EspCipher, type EspPayload, openPacket } from './packet.ts';
import type { ReplayWindow } from './replay-window.ts';

/** Why a packet was dropped; each is a counter of the packet path. RFC 4303 §3.4.3 and §3.4.4 make them auditable. */
export type EspDrop = 'malformed' | 'replayed' | 'too-old' | 'not-authentic';

export type EspReceived = EspPayload & { readonly sequence: bigint };

/** The receiving end of one SA: RFC 4303 §3.4 in order. The caller has looked up the SA by SPI. */
export class InboundSa {
  readonly #sa: EspSa;
  readonly #window: ReplayWindow;
  readonly #cipher: EspCipher;

  /** `window` belongs to this SA alone from now on. */
  constructor(sa: EspSa, window: ReplayWindow, cipher: EspCipher) {
    this.#sa = sa;
    this.#window = window;
    this.#cipher = cipher;
  }

  /**
   * 1. Read the header; infer the high half of the sequence number.
   * 2. Ask the window whether the packet can be new.
   * 3. Verify the ICV and decrypt.
   * 4. Mark the number: what is authentic moves the window, whatever it carries.
   */
  receive(packet: Uint8Array): Result<EspReceived, EspDrop> {
    const header = decodeHeader(packet);
    if (header === undefined) return err('malformed');
    const sequence = this.#sa.esn ? this.#window.infer(header.sequenceLow) : BigInt(header.sequenceLow);
    const verdict = this.#window.check(sequence);
    if (verdict !== 'fresh') return err(verdict);
    const opened = openPacket(this.#sa, sequence, packet, this.#cipher);
    if (!opened.ok && opened.error === 'not-authentic') return opened;
    this.#window.mark(sequence);
    return opened.ok ? ok({ ...opened.value, sequence }) : opened;
  }
}
