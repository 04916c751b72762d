import { BgpSession } from '../../../src/bgp/index.ts';
import type { BgpInput, BgpOutput } from '../../../src/bgp/types.ts';
import { decodeMessage, encodeMessage, MessageStream } from '../../../src/bgp/wire/message.ts';
import type { OpenMessage } from '../../../src/bgp/wire/open.ts';
import { ip, isIpv4Key, type PrefixKey } from '../../../src/lib/ip.ts';
import { instant } from '../../../src/lib/time.ts';
import { CPE, seededRandom } from '../../sim/bgp-pair.ts';
import { Violation } from '../engine/target.ts';

export const STATES = ['opensent', 'openconfirm', 'established'] as const;
export type State = (typeof STATES)[number];

/** No call into the core may take longer, however odd its input. */
const MAX_CALL_MS = 50;
const MAX_PREFIXES = 5_000;
const CONNECTION = 1;

/** A session whose peer says what a fuzzer wants; every output is held against what the shell and the RIB rely on. */
export class AttackedSession {
  readonly #session: BgpSession;
  readonly #asnOctets: 2 | 4;
  readonly #held = new Set<PrefixKey>();
  readonly #sent = new MessageStream();
  #up = false;
  #closed = false;

  constructor(asnOctets: 2 | 4) {
    this.#asnOctets = asnOctets;
    const prefixLimit = { prefixes: MAX_PREFIXES, beyond: 'restart', restartAfterMs: 900_000 } as const;
    this.#session = new BgpSession({ ...CPE, prefixLimit }, { random: seededRandom(1) });
  }

  reach(state: State): this {
    this.#feed({ kind: 'start' });
    this.#feed({ kind: 'connected', connection: CONNECTION, incoming: false });
    if (state === 'opensent') return this;
    const four = { kind: 'four-octet-as', asn: CPE.remoteAs } as const;
    const open: OpenMessage = {
      asn: CPE.remoteAs,
      holdTimeSec: 180,
      routerId: ip('169.254.21.2'),
      capabilities: [
        { kind: 'multiprotocol', afi: 1, safi: 1 },
        { kind: 'enhanced-route-refresh' },
        ...(this.#asnOctets === 4 ? [four] : []),
      ],
    };
    this.receive(encodeMessage({ kind: 'open', open }, { asnOctets: 4 }));
    if (state === 'established') this.receive(encodeMessage({ kind: 'keepalive' }, { asnOctets: 4 }));
    return this;
  }

  receive(bytes: Uint8Array): void {
    if (!this.#closed) this.#feed({ kind: 'data', connection: CONNECTION, bytes });
  }

  /** The shell hangs up, and a minute passes. */
  end(): void {
    if (!this.#closed) this.#feed({ kind: 'closed', connection: CONNECTION, reason: 'end of stream' });
    if (this.#up) throw new Violation('the connection is closed and the session still up');
    if (this.#session.nextTimeout() === undefined)
      throw new Violation('a session without a connection waits for nothing');
  }

  #feed(input: BgpInput): void {
    const started = performance.now();
    this.#session.handle(input, instant(1_000));
    const took = performance.now() - started;
    if (took > MAX_CALL_MS) throw new Violation(`${input.kind} took ${Math.round(took)} ms`);
    for (let out = this.#session.poll(); out !== undefined; out = this.#session.poll()) this.#perform(out);
  }

  #perform(out: BgpOutput): void {
    switch (out.kind) {
      case 'send':
        return this.#checkSent(out.bytes);
      case 'close':
      case 'abort':
        this.#closed = true;
        return;
      case 'up':
        this.#up = true;
        return;
      case 'down':
        if (!this.#up) throw new Violation('down without up');
        this.#up = false;
        this.#held.clear();
        return;
      case 'routes':
        return this.#checkRoutes(out);
      case 'begin-of-rib':
      case 'end-of-rib':
        if (!this.#up) throw new Violation(`${out.kind} without a session`);
        return;
      case 'connect':
      case 'log':
        return;
    }
  }

  #checkSent(bytes: Uint8Array): void {
    this.#sent.push(bytes);
    const frame = this.#sent.next();
    if (!frame.ok || frame.value === undefined) throw new Violation('sent something that is not one message');
    const message = decodeMessage(frame.value, { asnOctets: this.#asnOctets });
    if (!message.ok) throw new Violation(`sent what it would refuse itself: ${message.error.detail}`);
  }

  #checkRoutes({ announced, withdrawn }: Extract<BgpOutput, { kind: 'routes' }>): void {
    if (!this.#up) throw new Violation('routes without a session');
    const told = new Set(announced.flatMap(({ prefixes }) => prefixes));
    for (const key of withdrawn) {
      if (told.has(key)) throw new Violation('a prefix is announced and withdrawn at once');
      this.#held.delete(key);
    }
    for (const { prefixes, attributes } of announced) {
      if (!prefixes.every(isIpv4Key)) throw new Violation('a family that was not negotiated');
      if (attributes.nextHop.family !== 4) throw new Violation('a next hop of another family');
      for (const key of prefixes) this.#held.add(key);
    }
    if (this.#held.size > MAX_PREFIXES) throw new Violation('more prefixes than the limit');
  }
}
