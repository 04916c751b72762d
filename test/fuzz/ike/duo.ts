import {
  ESP_MIX,
  IKE_MIX,
  type IkeConfig,
  IkeConnection,
  type IkeInput,
  type IkeOutput,
} from '../../../src/ike/index.ts';
import type { ExportedIkeKeys } from '../../../src/ike/types.ts';
import { type Instant, instant } from '../../../src/lib/time.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { BRANCH, GATEWAY, INITIATOR, RESPONDER } from '../../sim/pair.ts';
import { quickCrypto } from '../../sim/quick-crypto.ts';
import { Violation } from '../engine/target.ts';

export type Role = 'initiator' | 'responder';
export const other = (role: Role): Role => (role === 'initiator' ? 'responder' : 'initiator');

/** A datagram on its way, or long gone. */
export interface Sent {
  readonly by: Role;
  readonly port: 500 | 4500;
  readonly bytes: Uint8Array;
}

/** No call into the core may take longer, however odd its input. */
const MAX_CALL_MS = 50;
/** Far more than one input needs to say. */
const MAX_OUTPUTS_PER_CALL = 64;
/** In use, made by either end, leaving and draining, and then some. */
const MAX_INSTALLED = 12;

/** One end: the core and what its outputs amount to. */
export class End {
  readonly connection: IkeConnection;
  readonly keys: ExportedIkeKeys[] = [];
  /** Inbound SPIs that the data plane holds, and the outbound SPI that it sends on. */
  readonly installed = new Map<number, number>();
  sending: number | undefined;
  stopped = false;
  /** The first input that took too long. */
  slowInput: IkeInput['kind'] | undefined;
  #history = 0;

  constructor(config: IkeConfig, seed: number) {
    this.connection = new IkeConnection(config, { crypto: quickCrypto, random: new SeededRandom(seed) });
  }

  /** Rows of history so far. */
  get history(): number {
    return this.#history;
  }

  /** Gives what it sends. */
  feed(input: IkeInput, now: Instant): Extract<IkeOutput, { readonly kind: 'send' }>[] {
    const started = performance.now();
    this.connection.handle(input, now);
    if (performance.now() - started > MAX_CALL_MS) this.slowInput ??= input.kind;
    const sends: Extract<IkeOutput, { readonly kind: 'send' }>[] = [];
    let outputs = 0;
    for (let out = this.connection.poll(); out !== undefined; out = this.connection.poll()) {
      if (++outputs > MAX_OUTPUTS_PER_CALL)
        throw new Violation(`one ${input.kind} input has more than ${outputs} outputs`);
      if (out.kind === 'send') sends.push(out);
      else this.#perform(out);
    }
    return sends;
  }

  /** The part of the data plane: it must never be told of an SA that it does not have, or has already. */
  #perform(out: Exclude<IkeOutput, { readonly kind: 'send' }>): void {
    if (this.stopped) throw new Violation(`${out.kind} after stopped`);
    switch (out.kind) {
      case 'child-up':
      case 'child-inbound': {
        const { inbound, outbound } = out.child;
        if (this.installed.has(inbound.spi)) throw new Violation(`${out.kind} for an SPI that is installed already`);
        this.installed.set(inbound.spi, outbound.spi);
        if (this.installed.size > MAX_INSTALLED) throw new Violation(`${this.installed.size} CHILD_SAs at once`);
        if (out.kind === 'child-up') this.sending = outbound.spi;
        return;
      }
      case 'child-outbound':
        if (!this.installed.has(out.spiIn)) throw new Violation('child-outbound for an SPI that is not installed');
        this.sending = this.installed.get(out.spiIn);
        return;
      case 'child-down':
        if (this.sending !== undefined && this.sending === this.installed.get(out.spiIn)) this.sending = undefined;
        if (!this.installed.delete(out.spiIn)) throw new Violation('child-down for an SPI that is not installed');
        return;
      case 'keys':
        this.keys.push(out.ike);
        return;
      case 'history':
        this.#history++;
        return;
      case 'stopped':
        if (this.installed.size > 0) throw new Violation(`stopped with ${this.installed.size} CHILD_SAs installed`);
        this.stopped = true;
        return;
      case 'keepalive':
        return;
    }
  }
}

/**
 * A branch and a gateway joined by a wire on which nothing moves by itself: what they send waits in `inFlight` until it
 * is delivered or forgotten. The same seed and the same steps give the same datagrams, octet by octet.
 */
export class Duo {
  readonly initiator: End;
  readonly responder: End;
  readonly inFlight: Sent[] = [];
  /** Everything sent so far, oldest first. */
  readonly sent: Sent[] = [];
  now = instant(1_000);

  constructor(seed: number) {
    this.initiator = new End({ ...INITIATOR, ...FUZZED }, seed + 1);
    this.responder = new End({ ...RESPONDER, ...FUZZED }, seed + 2);
  }

  start(): this {
    this.feed('responder', { kind: 'start' });
    this.feed('initiator', { kind: 'start' });
    return this;
  }

  feed(role: Role, input: IkeInput): void {
    for (const { localPort, bytes } of this[role].feed(input, this.now)) {
      const sent = { by: role, port: localPort, bytes };
      this.inFlight.push(sent);
      this.sent.push(sent);
    }
  }

  /** Delivers the oldest datagram in flight, at most `limit` times. */
  deliver(limit = 200): this {
    for (let left = limit; left > 0; left--) {
      const sent = this.inFlight.shift();
      if (sent === undefined) break;
      this.feed(other(sent.by), datagramFrom(sent.by, sent.port, sent.bytes));
    }
    return this;
  }

  /** What came before was not part of an attack. */
  startWatch(): this {
    this.initiator.slowInput = undefined;
    this.responder.slowInput = undefined;
    return this;
  }

  stopWatch(): void {
    const slow = this.initiator.slowInput ?? this.responder.slowInput;
    if (slow !== undefined) throw new Violation(`a ${slow} input took more than ${MAX_CALL_MS} ms`);
  }

  /** Lets time pass for `role`; what it sends meanwhile waits, or goes through at once. */
  wait(ms: number, roles: readonly Role[], delivering: boolean): this {
    const end = instant(this.now + ms);
    for (let wakeUps = 0; ; wakeUps++) {
      if (wakeUps > 2_000) throw new Violation(`more than ${wakeUps} wake-ups in ${ms} ms`);
      const due = roles
        .map((role) => ({ role, at: this[role].connection.nextTimeout() }))
        .filter((wake): wake is { role: Role; at: Instant } => wake.at !== undefined && wake.at <= end)
        .sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.now = instant(Math.max(this.now, due.at));
      this.feed(due.role, { kind: 'timeout' });
      if (delivering) this.deliver();
    }
    this.now = end;
    return this;
  }
}

/** As the other end receives it. */
export function datagramFrom(by: Role, port: 500 | 4500, bytes: Uint8Array): Extract<IkeInput, { kind: 'datagram' }> {
  const address = by === 'initiator' ? BRANCH : GATEWAY;
  return { kind: 'datagram', localPort: port, from: { address, port }, bytes };
}

const FUZZED = {
  // Two groups each, so that an exchange can be asked for another one.
  ikeSuites: [...IKE_MIX.slice(7), ...IKE_MIX.slice(0, 1)],
  espSuites: [...ESP_MIX.slice(5), ...ESP_MIX.slice(0, 1)],
  exportKeys: true,
} as const;
