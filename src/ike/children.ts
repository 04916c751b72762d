import type { Random } from '../crypto/types.ts';
import type { Endpoint } from '../lib/esp-sa.ts';
import { after, earliest, type Instant } from '../lib/time.ts';
import { type ChildOutput, ChildRoster, type Member, type Spent, type Where } from './child-roster.ts';
import type { ChildSa, ChildTerms } from './child-sa.ts';
import type { ReplacedChild } from './exchanges/create-child.ts';
import type { Outcome } from './exchanges/exchange.ts';
import type { PeersHalf } from './exchanges/followup-ke.ts';
import { isLower, lowestNonce } from './keymat.ts';
import { BUSY_RETRY_MS, DRAIN_MS, FOLLOWUP_MS, jitter, OVERTIME_MS, PFS_PROOF_MS, rekeyRetryMs } from './timing.ts';
import type { ChildUsage, IkeConfig } from './types.ts';

/** More than any collision makes; a peer cannot have us hold more. */
const MAX_CHILDREN = 6;

/** Our request under way: the rekey of one, or, without `spiIn`, a new one. */
interface Asking {
  readonly spiIn: number | undefined;
  /** What the peer's own rekey of the same one made meanwhile. */
  rival?: { readonly member: Member; readonly lowest: Uint8Array };
}

/** What to ask the peer next. */
type ChildTask =
  | { readonly kind: 'delete' | 'rekey'; readonly spiIn: number }
  /** There is none, and there should be one. */
  | { readonly kind: 'create' };

type Created = Extract<Outcome, { readonly kind: 'child-created' }>;
type Deleted = Extract<Outcome, { readonly kind: 'child-deleted' }>;
type Refused = Extract<Outcome, { readonly kind: 'child-refused' }>;

/**
 * The CHILD_SAs of one tunnel: which one carries traffic, which ones come and go, and when each is rekeyed. Outlives
 * the IKE SAs that replace one another. Make before break: an SA is installed inbound before the peer can use it, and
 * sent on only after the peer is known to have it (RFC 7296 §2.8).
 */
export class ChildSas {
  readonly #config: IkeConfig;
  readonly #random: Random;
  readonly #roster: ChildRoster;
  /** The tunnel ends: what exchanges under way still bring comes too late. */
  #over = false;
  #asking: Asking | undefined;
  /** What the peer began and has not finished, RFC 9370 §2.2.4. */
  #awaited: PeersHalf | undefined;
  /** Outbound SPIs that the peer deleted under our request, before its answer told us of them. */
  readonly #stillborn = new Set<number>();
  /** Why the last rekey failed, until one succeeds. */
  rekeyError: string | undefined;

  constructor(config: IkeConfig, random: Random) {
    this.#config = config;
    this.#random = random;
    this.#roster = new ChildRoster(config, random);
  }

  get sending(): ChildSa | undefined {
    return this.#roster.sending?.child;
  }

  /** When the SA in use is rekeyed, or ends if nobody rekeys it. */
  get rekeyAt(): Instant | undefined {
    const spiIn = this.#roster.sending?.spiIn;
    if (spiIn === undefined) return undefined;
    const soft = earliest(this.#roster.timers.get(`soft ${spiIn}`), this.#roster.timers.get(`volume ${spiIn}`));
    return soft ?? this.#roster.timers.get(`hard ${spiIn}`);
  }

  /** That the peer narrowed the selectors of the one in use. */
  get narrowed(): string | undefined {
    return this.#roster.sending?.narrowed || undefined;
  }

  /** That the one in use carries more than it may, because traffic is too fast for its limits. */
  get lifetimeError(): string | undefined {
    return this.#roster.sending?.allowance.complaint;
  }

  /** What may pass through the one in use before its rekey. */
  left(what: 'octets' | 'packets'): number | undefined {
    return this.#roster.sending?.allowance.left(what);
  }

  get count(): number {
    return this.#roster.members.length;
  }

  get full(): boolean {
    return this.#roster.members.filter(({ phase }) => phase !== 'draining').length >= MAX_CHILDREN;
  }

  /** The peer may finish this. */
  get awaited(): PeersHalf | undefined {
    return this.#awaited;
  }

  /** Drain until undefined after every call. */
  poll(): ChildOutput | undefined {
    return this.#roster.poll();
  }

  nextTimeout(): Instant | undefined {
    return this.#roster.timers.next();
  }

  // --- what exchanges made of them

  /** The first one, from IKE_AUTH: used at once. */
  first(terms: ChildTerms, where: Where, now: Instant): void {
    this.#roster.use(this.#roster.add(terms, where, 'in-use', now));
    if (this.#config.pfsProof !== true || terms.suite.pfsGroup === 'none') return;
    const proofAt = after(now, jitter(this.#random, PFS_PROOF_MS));
    const soft = `soft ${terms.spiIn}` as const;
    this.#roster.timers.set(soft, earliest(this.#roster.timers.get(soft), proofAt) ?? proofAt);
  }

  /** Our request is on its way: the rekey of this one, or for a new one. */
  asked(spiIn: number | undefined): void {
    this.#asking = { spiIn };
    this.#stillborn.clear();
  }

  /** The peer's first half is done. It forgets the rest if it loses a collision, so it is not awaited for long. */
  await(awaited: PeersHalf, now: Instant): void {
    this.#awaited = awaited;
    this.#roster.timers.set('followup', after(now, FOLLOWUP_MS));
  }

  /** Our first half is done: do we go on? RFC 9370 §2.2.4: of two rekeys at once, the one with the lowest nonce stops. */
  goesOn({ nonces, replaces }: Pick<PeersHalf, 'nonces' | 'replaces'>): boolean {
    const rival = this.#rivalOf(replaces);
    const loses = rival !== undefined && isLower(lowestNonce(nonces), rival.lowest);
    // Should the peer not finish its own, ours begins anew.
    if (loses) this.#asking = undefined;
    else this.#forgetAwaited();
    return !loses;
  }

  createdByUs({ terms, nonces, replaces, remark }: Created, where: Where, now: Instant): void {
    if (this.#over) return;
    const rival = this.#rivalOf(replaces);
    this.#asking = undefined;
    if (this.#stillborn.has(terms.spiOut)) return this.#onStillborn(replaces, now);
    this.rekeyError = undefined;
    // RFC 7296 §2.8.1: of two rekeys at once, the one with the lowest of the four nonces goes, deleted by whoever began it.
    // What won may be replaced and gone by now, if our answer comes late, but not without a successor.
    if (rival !== undefined && this.#roster.sending !== undefined && isLower(lowestNonce(nonces), rival.lowest)) {
      const member = this.#roster.add(terms, where, 'leaving', now, remark);
      this.#roster.receive(member);
      return;
    }
    if (rival?.member !== undefined && rival.member.phase !== 'draining') rival.member.phase = 'redundant';
    this.#forgetAwaited();
    const old = this.#roster.find(replaces);
    this.#roster.use(this.#roster.add(terms, where, 'in-use', now, remark));
    if (old !== undefined) this.#roster.leave(old);
  }

  createdByPeer({ terms, nonces, replaces, remark }: Created, where: Where, now: Instant): void {
    if (this.#over) return;
    this.#forgetAwaited();
    const old = this.#roster.find(replaces) ?? this.#roster.sending;
    const member = this.#roster.add(terms, where, old === undefined ? 'in-use' : 'unconfirmed', now, remark);
    member.known = false;
    if (old === undefined) return this.#roster.use(member);
    this.#roster.receive(member);
    this.rekeyError = undefined;
    this.#roster.replaced(old);
    if (this.#asking !== undefined && this.#asking.spiIn === old.spiIn)
      this.#asking.rival = { member, lowest: lowestNonce(nonces) };
    // Not a rekey, so the peer will not delete the old one; nor does a tunnel need two.
    if (replaces === undefined) {
      old.overtime = 'time';
      this.#roster.timers.set(`hard ${old.spiIn}`, after(now, DRAIN_MS));
    }
  }

  /** `fatal`: there is no CHILD_SA and the peer does not want one. */
  refused({ cause, replaces, reason }: Refused, now: Instant): 'fatal' | 'retry' {
    this.#asking = undefined;
    if (replaces === undefined) {
      if (cause === 'temporary') this.#roster.timers.set('create', after(now, jitter(this.#random, BUSY_RETRY_MS)));
      return cause === 'temporary' ? 'retry' : 'fatal';
    }
    const member = this.#roster.find(replaces);
    if (member === undefined || member.replaced || member.phase !== 'in-use') return 'retry';
    member.wantsRekey = false;
    if (cause === 'not-found') {
      this.#roster.remove(member, reason);
      return 'retry';
    }
    if (cause === 'refused') this.rekeyError = reason;
    const waitMs =
      cause === 'temporary' ? jitter(this.#random, BUSY_RETRY_MS) : rekeyRetryMs(this.#random, member.failures++);
    this.#roster.timers.set(`soft ${member.spiIn}`, after(now, waitMs));
    return 'retry';
  }

  /** The peer deleted what its answer, which came late, was about. */
  #onStillborn(replaces: number | undefined, now: Instant): void {
    const old = this.#roster.find(replaces);
    if (old === undefined) return this.#roster.timers.set('create', after(now, jitter(this.#random, BUSY_RETRY_MS)));
    old.wantsRekey = false;
    this.#roster.timers.set(`soft ${old.spiIn}`, after(now, rekeyRetryMs(this.#random, old.failures++)));
  }

  /** Gone at the peer. What it sent before may still arrive, so the inbound half stays a while where another SA took over. */
  deleted({ spisIn, unknown, reason }: Deleted, now: Instant): void {
    for (const spiOut of unknown) if (this.#stillborn.size < MAX_CHILDREN) this.#stillborn.add(spiOut);
    for (const spiIn of spisIn) {
      const member = this.#roster.find(spiIn);
      if (member === undefined || member.phase === 'draining') continue;
      this.#roster.stopTimers(member);
      member.phase = 'draining';
      if (member === this.#roster.sending && !this.#roster.switchOver()) {
        this.#roster.remove(member, reason);
        this.#roster.expectConfirmation(now);
        continue;
      }
      this.#roster.drain(member, now);
    }
    this.#roster.cutDrainsShort();
  }

  /** The peer is here now, as a fresh message of it shows. */
  moved(remote: Endpoint): void {
    this.#roster.moved(remote);
  }

  /** The peer has this one: ESP came on it, or it went on after the exchange that made it. */
  peerHas(spiIn: number): void {
    const member = this.#roster.find(spiIn);
    if (member === undefined) return;
    member.known = true;
    if (member.phase === 'unconfirmed') this.#roster.confirm(member);
  }

  /** All of them go, without a word to the peer, and none comes any more. */
  end(reason: string): void {
    this.#over = true;
    this.#roster.clear(reason);
    this.#awaited = undefined;
  }

  // --- what exchanges ask about them

  /** What a REKEY_SA for the SA that we send to with `spiOut` would replace. */
  replaceable(spiOut: number): ReplacedChild {
    const member = this.#roster.findOutbound(spiOut);
    // What the peer made for the request that we are asking comes to be known only with its answer.
    if (member === undefined) return { kind: this.#asking === undefined ? 'unknown' : 'unsure' };
    return member.replaced || member.phase === 'leaving' || member.phase === 'redundant'
      ? { kind: 'going' }
      : { kind: 'found', spiIn: member.spiIn };
  }

  /** The one that we send to with `spiOut`. `leaving`: our own DELETE for it is due or under way. */
  byOutbound(spiOut: number): { readonly spiIn: number; readonly leaving: boolean } | undefined {
    const member = this.#roster.findOutbound(spiOut);
    return member && { spiIn: member.spiIn, leaving: member.phase === 'leaving' };
  }

  // --- what to do next

  /** The one exchange that is due now, if any; asked whenever the window is free. */
  nextTask(): ChildTask | undefined {
    const leaving = this.#roster.members.find(({ phase, known }) => phase === 'leaving' && known);
    if (leaving !== undefined) return { kind: 'delete', spiIn: leaving.spiIn };
    const sending = this.#roster.sending;
    if (sending?.wantsRekey && !sending.replaced && sending.known && this.#awaited?.replaces !== sending.spiIn)
      return { kind: 'rekey', spiIn: sending.spiIn };
    const coming = this.#awaited !== undefined || this.#roster.unconfirmed !== undefined;
    const wanted = this.#config.role === 'initiator' && sending === undefined && !coming;
    return wanted && this.#roster.timers.get('create') === undefined ? { kind: 'create' } : undefined;
  }

  /** The SA in use gets a successor as soon as the window is free. */
  rekeyNow(): void {
    if (this.#roster.sending !== undefined) this.#roster.sending.wantsRekey = true;
  }

  /** The SA in use goes as soon as the window is free; what a rekey made of it takes over. */
  deleteNow(): void {
    if (this.#roster.sending !== undefined) this.#roster.leave(this.#roster.sending);
  }

  /** The peer says that it does not have this one: if so, it refuses the rekey, and a new one follows. */
  lost(spiIn: number): void {
    if (this.#roster.sending?.spiIn === spiIn) this.rekeyNow();
  }

  /** A value says why there is no CHILD_SA any more, as with `timeout`. */
  used(reports: readonly ChildUsage[], now: Instant): string | undefined {
    let end: string | undefined;
    for (const report of reports) {
      const member = this.#roster.find(report.spiIn);
      if (member?.phase !== 'in-use' && member?.phase !== 'unconfirmed') continue;
      member.allowance.report(report, now);
      this.#roster.planVolumeRekey(member, now);
      const spent = member.allowance.spent(now);
      if (spent !== undefined && member.overtime === undefined) end = this.#onHardLimit(member, spent, now) ?? end;
    }
    return end;
  }

  /** A value says why there is no CHILD_SA any more: the end of a lifetime without a successor. */
  timeout(now: Instant): string | undefined {
    let end: string | undefined;
    for (const timer of this.#roster.timers.expired(now)) {
      if (timer === 'followup') this.#awaited = undefined;
      const [name, spi] = timer.split(' ');
      const member = this.#roster.find(Number(spi));
      if (member === undefined) continue;
      if (name === 'soft') member.wantsRekey = true;
      if (name === 'volume') this.#roster.planVolumeRekey(member, now);
      if (name === 'confirm') this.peerHas(member.spiIn);
      if (name === 'drain') this.#roster.drained(member);
      if (name === 'hard') end = this.#onHardLimit(member, member.overtime ?? 'time', now) ?? end;
    }
    return end;
  }

  #onHardLimit(member: Member, spent: Spent, now: Instant): string | undefined {
    if (member === this.#roster.sending && !this.#roster.switchOver()) {
      if (this.#isBeingReplaced(member) && member.overtime === undefined) {
        member.overtime = spent;
        this.#roster.timers.set(`hard ${member.spiIn}`, after(now, OVERTIME_MS));
        return undefined;
      }
      const unconfirmed = this.#roster.unconfirmed;
      if (unconfirmed === undefined) return this.#describeEnd(spent);
      // A peer that did not get our answer by now is dead, and IKE finds out.
      this.#roster.confirm(unconfirmed);
    }
    this.#roster.leave(member);
    return undefined;
  }

  #describeEnd(spent: Spent): string {
    const volume = spent === 'time' ? '' : ` (${spent})`;
    const cause = this.rekeyError === undefined ? '' : `: ${this.rekeyError}`;
    return `the CHILD_SA reached the end of its lifetime${volume} without a successor${cause}`;
  }

  /** Our rekey of it is due or under way, or the peer's is and may not have reached the peer yet. */
  #isBeingReplaced({ spiIn, replaced, wantsRekey }: Member): boolean {
    return replaced || wantsRekey || this.#asking?.spiIn === spiIn || this.#awaited?.replaces === spiIn;
  }

  /** The peer's rekey of the same SA as ours, done or half done, by its lowest nonce. */
  #rivalOf(replaces: number | undefined): { readonly member?: Member; readonly lowest: Uint8Array } | undefined {
    const made = this.#asking?.rival;
    if (made !== undefined) return made;
    const half = this.#awaited;
    const isSame = half !== undefined && replaces !== undefined && half.replaces === replaces;
    return isSame ? { lowest: lowestNonce(half.nonces) } : undefined;
  }

  #forgetAwaited(): void {
    this.#awaited = undefined;
    this.#roster.timers.stop('followup');
  }
}
