import { expect } from 'vitest';
import { BgpSession } from '../../../src/bgp/session.ts';
import type { BgpInput, BgpOutput, BgpState } from '../../../src/bgp/types.ts';
import { type BgpMessage, decodeMessage, encodeMessage, MessageStream } from '../../../src/bgp/wire/message.ts';
import { describeNotification } from '../../../src/bgp/wire/notification.ts';
import type { OpenMessage } from '../../../src/bgp/wire/open.ts';
import { fromHex } from '../../../src/lib/bytes.ts';
import { ip } from '../../../src/lib/ip.ts';
import { instant } from '../../../src/lib/time.ts';
import { CPE, seededRandom } from '../../sim/bgp-pair.ts';

export const CONTEXT = { asnOctets: 4 } as const;
export const OPEN: OpenMessage = {
  asn: 65476,
  holdTimeSec: 180,
  routerId: ip('169.254.21.2'),
  capabilities: [
    { kind: 'multiprotocol', afi: 1, safi: 1 },
    { kind: 'four-octet-as', asn: 65476 },
  ],
};
export const KEEPALIVE: BgpMessage = { kind: 'keepalive' };

/** A session and what it says, fed by hand: the peer is whoever writes the test. */
export class Driver {
  readonly session: BgpSession;
  readonly outputs: BgpOutput[] = [];
  now = instant(0);
  #connection = 0;

  constructor(config = CPE) {
    this.session = new BgpSession(config, { random: seededRandom(7) });
  }

  feed(input: BgpInput, at: number = this.now): void {
    this.now = instant(at);
    this.session.handle(input, this.now);
    for (let out = this.session.poll(); out !== undefined; out = this.session.poll()) {
      this.outputs.push(out);
      if (out.kind === 'connect') this.#connection = out.connection;
      if (out.kind === 'send') this.session.handle({ kind: 'sent', connection: out.connection }, this.now);
    }
  }

  receive(message: BgpMessage, connection = this.#connection): void {
    this.feed({ kind: 'data', connection, bytes: encodeMessage(message, CONTEXT) });
  }

  reach(state: BgpState, open = OPEN): this {
    if (this.session.view(this.now).state === 'idle') this.feed({ kind: 'start' });
    this.feed({ kind: 'connected', connection: this.#connection, incoming: false });
    if (state !== 'opensent') this.receive({ kind: 'open', open });
    if (state === 'established') this.receive(KEEPALIVE);
    expect(this.state()).toBe(state);
    return this;
  }

  /** Breaks the protocol, waits for the next attempt and makes it succeed; gives the wait in milliseconds. */
  breakAndWait(): number {
    const brokenAt = this.now;
    this.feed({ kind: 'data', connection: this.#connection, bytes: fromHex('00'.repeat(19)) });
    expect(this.state()).toBe('idle');
    this.feed({ kind: 'timeout' }, this.session.nextTimeout());
    const waitedMs = this.now - brokenAt;
    this.reach('established');
    return waitedMs;
  }

  state(): BgpState {
    return this.session.view(this.now).state;
  }
  kinds(): string[] {
    return this.outputs.map((output) => output.kind);
  }
  sent(asnOctets: 2 | 4 = 4): BgpMessage[] {
    const stream = new MessageStream();
    return this.outputs.flatMap((output) => {
      if (output.kind !== 'send') return [];
      stream.push(output.bytes);
      const frame = stream.next();
      if (!frame.ok || frame.value === undefined) throw new Error('not a message');
      const message = decodeMessage(frame.value, { asnOctets });
      if (!message.ok) throw new Error(message.error.detail);
      return [message.value];
    });
  }
  /** The last one, in words. */
  sentNotification(): string | undefined {
    const last = this.sent().findLast((message) => message.kind === 'notification');
    return last === undefined ? undefined : describeNotification(last.notification);
  }
}
