import type { Random } from '../crypto/types.ts';
import { after, type Instant } from '../lib/time.ts';
import type { IkeTerms } from './exchanges/exchange.ts';
import type { PeersHalf } from './exchanges/followup-ke.ts';
import type { IkeSa } from './ike-sa.ts';
import type { IkeSaTimers } from './ike-sa-state.ts';
import { isLower, lowestNonce, type Nonces } from './keymat.ts';
import { BUSY_RETRY_MS, FOLLOWUP_MS, HEIR_UNUSED_MS, jitter, OVERTIME_MS, rekeyRetryMs, softMs } from './timing.ts';

/**
 * When an IKE SA is rekeyed, and which IKE SA follows it (RFC 7296 §2.8, §2.18): what our rekey made takes over at once,
 * what the peer's rekey made as soon as the peer is known to have it. Decides; the IKE SAs act.
 */
export class Succession {
  readonly #sa: IkeSa;
  readonly #timers: IkeSaTimers;
  readonly #random: Random;
  /** What the peer's rekey of this IKE SA made. */
  #candidate: { readonly sa: IkeSa; readonly lowest: Uint8Array } | undefined;
  /** What the peer began and has not finished, RFC 9370 §2.2.4. */
  #awaited: PeersHalf | undefined;
  #rekeyDue = false;
  #overtime = false;
  #failures = 0;
  #rekeyError: string | undefined;

  /** `sa`: the one to be replaced. */
  constructor(sa: IkeSa, timers: IkeSaTimers, random: Random) {
    this.#sa = sa;
    this.#timers = timers;
    this.#random = random;
  }

  /** Why the last rekey failed. */
  get rekeyError(): string | undefined {
    return this.#rekeyError;
  }

  /** The IKE SA is in use from now on and ends after `lifetimeMs`; its rekey is due some time before. */
  startLifetime(lifetimeMs: number, now: Instant): void {
    this.#timers.set('ike-soft', after(now, softMs(this.#random, lifetimeMs)));
    this.#timers.set('ike-lifetime', after(now, lifetimeMs));
  }

  /** The lifetime is over. True: our own rekey is due or under way, so the IKE SA goes on for a while, once. */
  prolonged(now: Instant): boolean {
    if (this.#overtime || !(this.#rekeyDue || this.#sa.rekeying)) return false;
    this.#overtime = true;
    this.#timers.set('ike-lifetime', after(now, OVERTIME_MS));
    return true;
  }

  /** Why there is nothing left when the lifetime is over. */
  describeEnd(): string {
    const cause = this.#rekeyError === undefined ? '' : `: ${this.#rekeyError}`;
    return `the IKE SA reached the end of its lifetime${cause}`;
  }

  /** What the peer's rekey made, unless the peer deleted it again. */
  get heir(): IkeSa | undefined {
    return this.#pending?.sa;
  }

  /** Our rekey begins as soon as the window is free. */
  rekeyNow(): void {
    this.#rekeyDue = true;
  }

  /** True once for each rekey that is due. */
  takeDue(): boolean {
    const due = this.#rekeyDue;
    this.#rekeyDue = false;
    return due;
  }

  /** The peer may finish this. */
  get awaited(): PeersHalf | undefined {
    return this.#awaited;
  }

  /** The peer's first half is done. It forgets the rest if it loses a collision, so it is not awaited for long. */
  await(awaited: PeersHalf, now: Instant): void {
    this.#awaited = awaited;
    this.#timers.set('followup', after(now, FOLLOWUP_MS));
  }

  /** The peer did not go on. */
  forgetAwaited(): void {
    this.#awaited = undefined;
    this.#timers.stop('followup');
  }

  /** Our first half is done: do we go on? RFC 9370 §2.2.4: of two rekeys at once, the one with the lowest nonce stops. */
  goesOn(nonces: Nonces, now: Instant): boolean {
    const rival = this.#pending?.lowest ?? (this.#awaited && lowestNonce(this.#awaited.nonces));
    if (rival === undefined || !isLower(lowestNonce(nonces), rival)) {
      this.forgetAwaited();
      return true;
    }
    if (this.#pending !== undefined) this.#timers.set('heir', after(now, HEIR_UNUSED_MS));
    // Should the peer not finish its own, ours begins anew.
    else this.#rekeyDue = true;
    return false;
  }

  rekeyedByUs(terms: IkeTerms, nonces: Nonces, now: Instant): void {
    const made = this.#sa.spawn(terms, 'initiator', now);
    // Meanwhile we moved on to what the peer's rekey made, or this IKE SA ends.
    if (!this.#sa.established) return made.sayGoodbye(now);
    const rival = this.#pending;
    // RFC 7296 §2.8.1: the one with the lowest of the four nonces goes, deleted by whoever began it.
    if (!this.goesOn(nonces, now)) return made.sayGoodbye(now);
    if (rival !== undefined) rival.sa.retire(now);
    this.#sa.handOver(made, now);
    this.#sa.sayGoodbye(now);
  }

  rekeyedByPeer(terms: IkeTerms, nonces: Nonces, now: Instant): void {
    this.forgetAwaited();
    this.#candidate?.sa.abandon('overtaken by another rekey', false, now);
    const sa = this.#sa.spawn(terms, 'responder', now);
    this.#candidate = { sa, lowest: lowestNonce(nonces) };
    this.#timers.set('heir', after(now, HEIR_UNUSED_MS));
  }

  /** Our rekey came to nothing. `temporary`: the peer was busy. */
  rekeyRefused(temporary: boolean, reason: string, now: Instant): void {
    if (this.#pending !== undefined) return;
    if (!temporary) this.#rekeyError = reason;
    const waitMs = temporary ? jitter(this.#random, BUSY_RETRY_MS) : this.#retryMs();
    this.#timers.set('ike-soft', after(now, waitMs));
  }

  /** A request came in what the peer's rekey made. If it is DELETE, that one lost a collision, or all of it ends. */
  heirAsked(heir: IkeSa, toDelete: boolean, now: Instant): void {
    if (!toDelete || !this.#sa.rekeying) this.heirUsed(heir, now);
  }

  /** The peer used what its rekey made, so that one won, whatever becomes of a rekey of our own. */
  heirUsed(heir: IkeSa, now: Instant): void {
    if (this.#sa.established && this.heir === heir) this.#sa.handOver(heir, now);
  }

  /** The peer never used what its rekey made: it may not know the outcome, or its DELETE of this IKE SA got lost. */
  heirUnused(now: Instant): void {
    if (this.#sa.rekeying) return this.#timers.set('heir', after(now, HEIR_UNUSED_MS));
    this.heir?.askPeer(now);
  }

  /** What the peer's rekey made came to nothing; this IKE SA still works. */
  heirLost(now: Instant): void {
    if (this.#sa.established && !this.#rekeyDue && this.#timers.get('ike-soft') === undefined)
      this.#timers.set('ike-soft', after(now, this.#retryMs()));
  }

  get #pending(): { readonly sa: IkeSa; readonly lowest: Uint8Array } | undefined {
    return this.#candidate?.sa.standby ? this.#candidate : undefined;
  }

  #retryMs(): number {
    return rekeyRetryMs(this.#random, this.#failures++);
  }
}
