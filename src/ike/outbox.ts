import { after, type Instant } from '../lib/time.ts';
import type { IkeChannel, OutgoingMessage } from './channel.ts';
import type { IkeSaOutput } from './ike-sa-output.ts';
import type { IkeSaTimers } from './ike-sa-state.ts';
import type { NatMapping } from './nat-mapping.ts';
import type { IkeHistoryEvent } from './types.ts';

/** What an IKE SA has for its owner, in order; and the keepalives that fill the gaps behind our NAT (RFC 3948 §4). */
export class Outbox {
  readonly #channel: IkeChannel;
  readonly #timers: IkeSaTimers;
  readonly #mapping: NatMapping;
  readonly #out: IkeSaOutput[] = [];

  constructor(channel: IkeChannel, timers: IkeSaTimers, mapping: NatMapping) {
    this.#channel = channel;
    this.#timers = timers;
    this.#mapping = mapping;
  }

  push(output: IkeSaOutput): void {
    this.#out.push(output);
  }

  shift(): IkeSaOutput | undefined {
    return this.#out.shift();
  }

  record(event: IkeHistoryEvent): void {
    this.#out.push({ kind: 'history', event });
  }

  send({ datagrams }: OutgoingMessage, now: Instant): void {
    for (const bytes of datagrams) this.#out.push(this.#channel.send(bytes));
    this.#mapping.sent(now);
    this.postponeKeepalive(now);
  }

  /** Any packet keeps the mapping of our NAT open. */
  postponeKeepalive(now: Instant): void {
    if (this.#timers.get('keepalive') !== undefined) this.startKeepalives(now);
  }

  /** From now on, when nothing else was sent for a while; again after each one. */
  startKeepalives(now: Instant): void {
    this.#timers.set('keepalive', after(now, this.#mapping.keepaliveMs));
  }

  sendKeepalive(now: Instant): void {
    this.#out.push({ kind: 'keepalive', to: this.#channel.remote });
    this.#mapping.sent(now);
    this.startKeepalives(now);
  }
}
