import { elapsedMs, type Instant } from '../lib/time.ts';
import { KEEPALIVE_MS, SHORTEST_KEEPALIVE_MS } from './timing.ts';

/** So soon after an exchange traffic must come back, for the exchange to be what brought it back. */
const REPAIRED_MS = 3_000;
/** One late answer may have other reasons. */
const LOSSES_THAT_TELL = 2;

/**
 * How long the NAT in front of us keeps a silent mapping, as far as it has shown: when traffic after a pause is answered
 * only once an IKE exchange has come between, the peer had been answering to a mapping that was gone. Then keepalives come
 * more often. Outlives the IKE SAs of a connection.
 */
export class NatMapping {
  #keepaliveMs = KEEPALIVE_MS;
  #lastSent: Instant | undefined;
  /** Traffic after a pause of so long has no answer yet. `repairedAt`: the peer has seen the present mapping since. */
  #unanswered: { readonly idleMs: number; readonly repairedAt?: Instant } | undefined;
  #losses = 0;

  /** When nothing else was sent for so long. */
  get keepaliveMs(): number {
    return this.#keepaliveMs;
  }

  /** A packet left that keeps the mapping open. */
  sent(now: Instant): void {
    this.#lastSent = now;
  }

  /** ESP left; `answered`: some came as well. */
  espSent(answered: boolean, now: Instant): void {
    const idleMs = this.#lastSent === undefined ? 0 : elapsedMs(this.#lastSent, now);
    this.#lastSent = now;
    if (idleMs < SHORTEST_KEEPALIVE_MS) return;
    if (answered) this.#losses = 0;
    else this.#unanswered = { idleMs };
  }

  /** An exchange that we began has ended: the peer knows where we are. */
  exchanged(now: Instant): void {
    if (this.#unanswered !== undefined) this.#unanswered = { ...this.#unanswered, repairedAt: now };
  }

  /** ESP arrived. True when keepalives are to come more often from now on. */
  espReceived(now: Instant): boolean {
    const unanswered = this.#unanswered;
    if (unanswered === undefined) return false;
    this.#unanswered = undefined;
    const { idleMs, repairedAt } = unanswered;
    if (repairedAt === undefined) this.#losses = 0;
    if (repairedAt === undefined || elapsedMs(repairedAt, now) > REPAIRED_MS) return false;
    if (++this.#losses < LOSSES_THAT_TELL) return false;
    this.#losses = 0;
    this.#keepaliveMs = Math.max(SHORTEST_KEEPALIVE_MS, Math.min(this.#keepaliveMs, idleMs / 2));
    return true;
  }
}
