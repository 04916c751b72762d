import type { Random } from '../crypto/types.ts';
import type { Endpoint, EspSaPair } from '../lib/esp-sa.ts';
import { equalIp } from '../lib/ip.ts';
import { after, earliest, type Instant, TimerTable } from '../lib/time.ts';
import { Allowance } from './allowance.ts';
import { type ChildSa, type ChildTerms, espSaPair } from './child-sa.ts';
import type { ReplacedChild } from './exchanges/create-child.ts';
import type { Outcome } from './exchanges/exchange.ts';
import type { PeersHalf } from './exchanges/followup-ke.ts';
import { isLower, lowestNonce } from './keymat.ts';
import {
  BUSY_RETRY_MS,
  CONFIRM_MS,
  DRAIN_MS,
  FOLLOWUP_MS,
  jitter,
  OVERTIME_MS,
  PFS_PROOF_MS,
  RECREATE_AFTER_MS,
  rekeyRetryMs,
  softMs,
} from './timing.ts';
import type { ChildUsage, IkeConfig, IkeOutput } from './types.ts';

/** More than any collision makes; a peer cannot have us hold more. */
const MAX_CHILDREN = 6;
/** Rekeys faster than the drain time cut the oldest short. */
const MAX_DRAINING = 4;

/**
 * `in-use`: both ends have it. `unconfirmed`: the peer made it, but may not receive on it yet. `redundant`: lost a
 * collision, the peer deletes it. `leaving`: our DELETE is due or under way. `draining`: gone, but packets may still come.
 */
type Phase = 'in-use' | 'unconfirmed' | 'redundant' | 'leaving' | 'draining';

interface Member {
  child: ChildSa;
  readonly spiIn: number;
  readonly allowance: Allowance;
  /** That the peer narrowed its selectors; empty for no. */
  readonly narrowed: string;
  phase: Phase;
  /** The peer has it for sure: before, a DELETE would tell it nothing, and our answer would then set up a dead one. */
  known: boolean;
  /** A successor exists: nobody rekeys this one again. */
  replaced: boolean;
  wantsRekey: boolean;
  /** Its rekey for volume was asked for; what became of that decides when it is tried again. */
  volumeDue: boolean;
  /** What ended its lifetime while a rekey was under way: it lives on for a little, once. */
  overtime: Spent | undefined;
  failures: number;
}

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

const REPLACED = 'replaced by a rekey';

type Where = Pick<EspSaPair, 'encapsulation' | 'remote'>;
type ChildOutput = Extract<IkeOutput, { readonly kind: `child-${string}` }>;
type Created = Extract<Outcome, { readonly kind: 'child-created' }>;
type Deleted = Extract<Outcome, { readonly kind: 'child-deleted' }>;
type Refused = Extract<Outcome, { readonly kind: 'child-refused' }>;
/** What of a lifetime is used up: a volume in words, or time. */
type Spent = string | 'time';

type TimerName = 'create' | 'followup' | `${'soft' | 'volume' | 'hard' | 'confirm' | 'drain'} ${number}`;

/**
 * The CHILD_SAs of one tunnel: which one carries traffic, which ones come and go, and when each is rekeyed. Outlives
 * the IKE SAs that replace one another. Make before break: an SA is installed inbound before the peer can use it, and
 * sent on only after the peer is known to have it (RFC 7296 §2.8).
 */
export class ChildSas {
  readonly #config: IkeConfig;
  readonly #random: Random;
  readonly #members: Member[] = [];
  readonly #timers = new TimerTable<TimerName>();
  readonly #out: ChildOutput[] = [];
  #sending: Member | undefined;
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
  }

  get sending(): ChildSa | undefined {
    return this.#sending?.child;
  }

  /** When the SA in use is rekeyed, or ends if nobody rekeys it. */
  get rekeyAt(): Instant | undefined {
    const spiIn = this.#sending?.spiIn;
    if (spiIn === undefined) return undefined;
    const soft = earliest(this.#timers.get(`soft ${spiIn}`), this.#timers.get(`volume ${spiIn}`));
    return soft ?? this.#timers.get(`hard ${spiIn}`);
  }

  /** That the peer narrowed the selectors of the one in use. */
  get narrowed(): string | undefined {
    return this.#sending?.narrowed || undefined;
  }

  /** That the one in use carries more than it may, because traffic is too fast for its limits. */
  get lifetimeError(): string | undefined {
    return this.#sending?.allowance.complaint;
  }

  /** What may pass through the one in use before its rekey. */
  left(what: 'octets' | 'packets'): number | undefined {
    return this.#sending?.allowance.left(what);
  }

  get count(): number {
    return this.#members.length;
  }

  get full(): boolean {
    return this.#members.filter(({ phase }) => phase !== 'draining').length >= MAX_CHILDREN;
  }

  /** The peer may finish this. */
  get awaited(): PeersHalf | undefined {
    return this.#awaited;
  }

  /** Drain until undefined after every call. */
  poll(): ChildOutput | undefined {
    return this.#out.shift();
  }

  nextTimeout(): Instant | undefined {
    return this.#timers.next();
  }

  // --- what exchanges made of them

  /** The first one, from IKE_AUTH: used at once. */
  first(terms: ChildTerms, where: Where, now: Instant): void {
    this.#use(this.#add(terms, where, 'in-use', now));
    if (this.#config.pfsProof !== true || terms.suite.pfsGroup === 'none') return;
    const proofAt = after(now, jitter(this.#random, PFS_PROOF_MS));
    const soft = `soft ${terms.spiIn}` as const;
    this.#timers.set(soft, earliest(this.#timers.get(soft), proofAt) ?? proofAt);
  }

  /** Our request is on its way: the rekey of this one, or for a new one. */
  asked(spiIn: number | undefined): void {
    this.#asking = { spiIn };
    this.#stillborn.clear();
  }

  /** The peer's first half is done. It forgets the rest if it loses a collision, so it is not awaited for long. */
  await(awaited: PeersHalf, now: Instant): void {
    this.#awaited = awaited;
    this.#timers.set('followup', after(now, FOLLOWUP_MS));
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
    if (rival !== undefined && this.#sending !== undefined && isLower(lowestNonce(nonces), rival.lowest)) {
      const member = this.#add(terms, where, 'leaving', now, remark);
      this.#out.push({ kind: 'child-inbound', child: member.child.pair, suite: terms.suite });
      return;
    }
    if (rival?.member !== undefined && rival.member.phase !== 'draining') rival.member.phase = 'redundant';
    this.#forgetAwaited();
    const old = this.#find(replaces);
    this.#use(this.#add(terms, where, 'in-use', now, remark));
    if (old !== undefined) this.#leave(old);
  }

  createdByPeer({ terms, nonces, replaces, remark }: Created, where: Where, now: Instant): void {
    if (this.#over) return;
    this.#forgetAwaited();
    const old = this.#find(replaces) ?? this.#sending;
    const member = this.#add(terms, where, old === undefined ? 'in-use' : 'unconfirmed', now, remark);
    member.known = false;
    if (old === undefined) return this.#use(member);
    this.#out.push({ kind: 'child-inbound', child: member.child.pair, suite: terms.suite });
    this.rekeyError = undefined;
    this.#replaced(old);
    if (this.#asking !== undefined && this.#asking.spiIn === old.spiIn)
      this.#asking.rival = { member, lowest: lowestNonce(nonces) };
    // Not a rekey, so the peer will not delete the old one; nor does a tunnel need two.
    if (replaces === undefined) {
      old.overtime = 'time';
      this.#timers.set(`hard ${old.spiIn}`, after(now, DRAIN_MS));
    }
  }

  /** `fatal`: there is no CHILD_SA and the peer does not want one. */
  refused({ cause, replaces, reason }: Refused, now: Instant): 'fatal' | 'retry' {
    this.#asking = undefined;
    if (replaces === undefined) {
      if (cause === 'temporary') this.#timers.set('create', after(now, jitter(this.#random, BUSY_RETRY_MS)));
      return cause === 'temporary' ? 'retry' : 'fatal';
    }
    const member = this.#find(replaces);
    if (member === undefined || member.replaced || member.phase !== 'in-use') return 'retry';
    member.wantsRekey = false;
    if (cause === 'not-found') {
      this.#remove(member, reason);
      return 'retry';
    }
    if (cause === 'refused') this.rekeyError = reason;
    const waitMs =
      cause === 'temporary' ? jitter(this.#random, BUSY_RETRY_MS) : rekeyRetryMs(this.#random, member.failures++);
    this.#timers.set(`soft ${member.spiIn}`, after(now, waitMs));
    return 'retry';
  }

  /** The peer deleted what its answer, which came late, was about. */
  #onStillborn(replaces: number | undefined, now: Instant): void {
    const old = this.#find(replaces);
    if (old === undefined) return this.#timers.set('create', after(now, jitter(this.#random, BUSY_RETRY_MS)));
    old.wantsRekey = false;
    this.#timers.set(`soft ${old.spiIn}`, after(now, rekeyRetryMs(this.#random, old.failures++)));
  }

  /** Gone at the peer. What it sent before may still arrive, so the inbound half stays a while where another SA took over. */
  deleted({ spisIn, unknown, reason }: Deleted, now: Instant): void {
    for (const spiOut of unknown) if (this.#stillborn.size < MAX_CHILDREN) this.#stillborn.add(spiOut);
    for (const spiIn of spisIn) {
      const member = this.#find(spiIn);
      if (member === undefined || member.phase === 'draining') continue;
      this.#stopTimers(member);
      member.phase = 'draining';
      if (member === this.#sending && !this.#switchOver()) {
        this.#remove(member, reason);
        this.#expectConfirmation(now);
        continue;
      }
      this.#timers.set(`drain ${spiIn}`, after(now, DRAIN_MS));
    }
    const draining = this.#members.filter(({ phase }) => phase === 'draining');
    for (const member of draining.slice(0, -MAX_DRAINING)) this.#remove(member, REPLACED);
  }

  /** The peer is here now, as a fresh message of it shows. */
  moved(remote: Endpoint): void {
    const elsewhere = this.#members.filter(({ child }) => !equalEndpoint(child.pair.remote, remote));
    if (elsewhere.length === 0) return;
    for (const member of elsewhere) member.child = { ...member.child, pair: { ...member.child.pair, remote } };
    this.#out.push({ kind: 'child-moved', remote });
  }

  /** The peer has this one: ESP came on it, or it went on after the exchange that made it. */
  peerHas(spiIn: number): void {
    const member = this.#find(spiIn);
    if (member === undefined) return;
    member.known = true;
    if (member.phase === 'unconfirmed') this.#confirm(member);
  }

  /** All of them go, without a word to the peer, and none comes any more. */
  end(reason: string): void {
    this.#over = true;
    // The one in use last: until then the tunnel has somewhere to send to.
    const others = this.#members.filter((member) => member !== this.#sending);
    for (const member of [...others, ...this.#members.filter((m) => m === this.#sending)]) this.#remove(member, reason);
    this.#awaited = undefined;
    this.#timers.stopAll();
  }

  // --- what exchanges ask about them

  /** What a REKEY_SA for the SA that we send to with `spiOut` would replace. */
  replaceable(spiOut: number): ReplacedChild {
    const member = this.#members.find((m) => m.child.pair.outbound.spi === spiOut && m.phase !== 'draining');
    // What the peer made for the request that we are asking comes to be known only with its answer.
    if (member === undefined) return { kind: this.#asking === undefined ? 'unknown' : 'unsure' };
    return member.replaced || member.phase === 'leaving' || member.phase === 'redundant'
      ? { kind: 'going' }
      : { kind: 'found', spiIn: member.spiIn };
  }

  /** The one that we send to with `spiOut`. `leaving`: our own DELETE for it is due or under way. */
  byOutbound(spiOut: number): { readonly spiIn: number; readonly leaving: boolean } | undefined {
    const member = this.#members.find((m) => m.child.pair.outbound.spi === spiOut && m.phase !== 'draining');
    return member && { spiIn: member.spiIn, leaving: member.phase === 'leaving' };
  }

  // --- what to do next

  /** The one exchange that is due now, if any; asked whenever the window is free. */
  nextTask(): ChildTask | undefined {
    const leaving = this.#members.find(({ phase, known }) => phase === 'leaving' && known);
    if (leaving !== undefined) return { kind: 'delete', spiIn: leaving.spiIn };
    const sending = this.#sending;
    if (sending?.wantsRekey && !sending.replaced && sending.known && this.#awaited?.replaces !== sending.spiIn)
      return { kind: 'rekey', spiIn: sending.spiIn };
    const coming = this.#awaited !== undefined || this.#unconfirmed !== undefined;
    const wanted = this.#config.role === 'initiator' && sending === undefined && !coming;
    return wanted && this.#timers.get('create') === undefined ? { kind: 'create' } : undefined;
  }

  /** The SA in use gets a successor as soon as the window is free. */
  rekeyNow(): void {
    if (this.#sending !== undefined) this.#sending.wantsRekey = true;
  }

  /** The SA in use goes as soon as the window is free; what a rekey made of it takes over. */
  deleteNow(): void {
    if (this.#sending !== undefined) this.#leave(this.#sending);
  }

  /** The peer says that it does not have this one: if so, it refuses the rekey, and a new one follows. */
  lost(spiIn: number): void {
    if (this.#sending?.spiIn === spiIn) this.rekeyNow();
  }

  /** A value says why there is no CHILD_SA any more, as with `timeout`. */
  used(reports: readonly ChildUsage[], now: Instant): string | undefined {
    let end: string | undefined;
    for (const report of reports) {
      const member = this.#find(report.spiIn);
      if (member?.phase !== 'in-use' && member?.phase !== 'unconfirmed') continue;
      member.allowance.report(report, now);
      this.#planVolumeRekey(member, now);
      const spent = member.allowance.spent(now);
      if (spent !== undefined && member.overtime === undefined) end = this.#onHardLimit(member, spent, now) ?? end;
    }
    return end;
  }

  /** A value says why there is no CHILD_SA any more: the end of a lifetime without a successor. */
  timeout(now: Instant): string | undefined {
    let end: string | undefined;
    for (const timer of this.#timers.expired(now)) {
      if (timer === 'followup') this.#awaited = undefined;
      const [name, spi] = timer.split(' ');
      const member = this.#find(Number(spi));
      if (member === undefined) continue;
      if (name === 'soft') member.wantsRekey = true;
      if (name === 'volume') this.#planVolumeRekey(member, now);
      if (name === 'confirm') this.peerHas(member.spiIn);
      if (name === 'drain') this.#remove(member, REPLACED);
      if (name === 'hard') end = this.#onHardLimit(member, member.overtime ?? 'time', now) ?? end;
    }
    return end;
  }

  /** Due now, or when what was reported will have grown to the limit. */
  #planVolumeRekey(member: Member, now: Instant): void {
    if (member.replaced || member.volumeDue) return;
    const timer = `volume ${member.spiIn}` as const;
    const { rekeyAt } = member.allowance;
    if (rekeyAt !== undefined && rekeyAt > now) return this.#timers.set(timer, rekeyAt);
    this.#timers.stop(timer);
    if (rekeyAt !== undefined) member.wantsRekey = member.volumeDue = true;
  }

  #onHardLimit(member: Member, spent: Spent, now: Instant): string | undefined {
    if (member === this.#sending && !this.#switchOver()) {
      if (this.#isBeingReplaced(member) && member.overtime === undefined) {
        member.overtime = spent;
        this.#timers.set(`hard ${member.spiIn}`, after(now, OVERTIME_MS));
        return undefined;
      }
      const unconfirmed = this.#unconfirmed;
      if (unconfirmed === undefined) return this.#describeEnd(spent);
      // A peer that did not get our answer by now is dead, and IKE finds out.
      this.#confirm(unconfirmed);
    }
    this.#leave(member);
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
    this.#timers.stop('followup');
  }

  // --- one member

  #find(spiIn: number | undefined): Member | undefined {
    return this.#members.find((member) => member.spiIn === spiIn);
  }

  #add(terms: ChildTerms, where: Where, phase: Phase, now: Instant, narrowed = ''): Member {
    const child: ChildSa = { suite: terms.suite, pair: espSaPair(terms, where), since: now };
    const { spiIn, suite } = terms;
    const allowance = new Allowance(this.#config, suite, this.#sending?.allowance, this.#random, now);
    const member: Member = {
      child,
      spiIn,
      allowance,
      narrowed,
      phase,
      known: true,
      replaced: false,
      wantsRekey: false,
      volumeDue: false,
      overtime: undefined,
      failures: 0,
    };
    this.#members.push(member);
    const { childLifetimeMs } = this.#config;
    this.#timers.set(`soft ${spiIn}`, after(now, softMs(this.#random, childLifetimeMs)));
    this.#timers.set(`hard ${spiIn}`, after(now, childLifetimeMs));
    this.#planVolumeRekey(member, now);
    return member;
  }

  /** New in both directions. */
  #use(member: Member): void {
    this.#sending = member;
    this.#timers.stop('create');
    this.#out.push({ kind: 'child-up', child: member.child.pair, suite: member.child.suite });
  }

  #confirm(member: Member): void {
    member.phase = 'in-use';
    this.#sending = member;
    this.#out.push({ kind: 'child-outbound', spiIn: member.spiIn });
  }

  /** Away from an SA that ends, to the newest that the peer has as well. */
  #switchOver(): boolean {
    const next = this.#members.findLast((member) => member.phase === 'in-use' && member !== this.#sending);
    if (next === undefined) return false;
    this.#confirm(next);
    return true;
  }

  get #unconfirmed(): Member | undefined {
    return this.#members.findLast(({ phase }) => phase === 'unconfirmed');
  }

  /** There is nothing to send on but an SA that the peer may not have yet; a peer that stays silent has it. */
  #expectConfirmation(now: Instant): void {
    const member = this.#unconfirmed;
    if (member !== undefined) this.#timers.set(`confirm ${member.spiIn}`, after(now, CONFIRM_MS));
  }

  #replaced(member: Member): void {
    member.replaced = true;
    member.wantsRekey = false;
    for (const name of ['soft', 'volume'] as const) this.#timers.stop(`${name} ${member.spiIn}`);
  }

  #leave(member: Member): void {
    if (member.phase === 'draining') return;
    this.#replaced(member);
    this.#timers.stop(`hard ${member.spiIn}`);
    member.phase = 'leaving';
  }

  #remove(member: Member, reason: string): void {
    this.#members.splice(this.#members.indexOf(member), 1);
    this.#stopTimers(member);
    if (member === this.#sending) {
      this.#sending = undefined;
      // A peer that deletes what it accepts must not make us spin.
      this.#timers.set('create', after(member.child.since, RECREATE_AFTER_MS));
    }
    this.#out.push({ kind: 'child-down', spiIn: member.spiIn, reason });
  }

  #stopTimers({ spiIn }: Member): void {
    for (const name of ['soft', 'volume', 'hard', 'confirm', 'drain'] as const) this.#timers.stop(`${name} ${spiIn}`);
  }
}

const equalEndpoint = (a: Endpoint, b: Endpoint): boolean => a.port === b.port && equalIp(a.address, b.address);
