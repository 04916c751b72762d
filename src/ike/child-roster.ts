import type { Random } from '../crypto/types.ts';
import type { Endpoint, EspSaPair } from '../lib/esp-sa.ts';
import { equalIp } from '../lib/ip.ts';
import { after, type Instant, TimerTable } from '../lib/time.ts';
import { Allowance } from './allowance.ts';
import { type ChildSa, type ChildTerms, espSaPair } from './child-sa.ts';
import { CONFIRM_MS, DRAIN_MS, RECREATE_AFTER_MS, softMs } from './timing.ts';
import type { IkeConfig, IkeOutput } from './types.ts';

/** Rekeys faster than the drain time cut the oldest short. */
const MAX_DRAINING = 4;
const REPLACED = 'replaced by a rekey';

/**
 * `in-use`: both ends have it. `unconfirmed`: the peer made it, but may not receive on it yet. `redundant`: lost a
 * collision, the peer deletes it. `leaving`: our DELETE is due or under way. `draining`: gone, but packets may still come.
 */
type Phase = 'in-use' | 'unconfirmed' | 'redundant' | 'leaving' | 'draining';

export interface Member {
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

/** What of a lifetime is used up: a volume in words, or time. */
export type Spent = string | 'time';
export type Where = Pick<EspSaPair, 'encapsulation' | 'remote'>;
export type ChildOutput = Extract<IkeOutput, { readonly kind: `child-${string}` }>;
type TimerName = 'create' | 'followup' | `${'soft' | 'volume' | 'hard' | 'confirm' | 'drain'} ${number}`;

/** The CHILD_SAs that exist, each with its phase and timers, and the one of them that is sent on. What becomes of them is up to ChildSas. */
export class ChildRoster {
  readonly members: Member[] = [];
  readonly timers = new TimerTable<TimerName>();
  readonly #config: IkeConfig;
  readonly #random: Random;
  readonly #out: ChildOutput[] = [];
  #sending: Member | undefined;

  constructor(config: IkeConfig, random: Random) {
    this.#config = config;
    this.#random = random;
  }

  get sending(): Member | undefined {
    return this.#sending;
  }

  get unconfirmed(): Member | undefined {
    return this.members.findLast(({ phase }) => phase === 'unconfirmed');
  }

  /** Drain until undefined after every call. */
  poll(): ChildOutput | undefined {
    return this.#out.shift();
  }

  find(spiIn: number | undefined): Member | undefined {
    return this.members.find((member) => member.spiIn === spiIn);
  }

  /** The one that we send to with `spiOut`. */
  findOutbound(spiOut: number): Member | undefined {
    return this.members.find(({ child, phase }) => child.pair.outbound.spi === spiOut && phase !== 'draining');
  }

  add(terms: ChildTerms, where: Where, phase: Phase, now: Instant, narrowed = ''): Member {
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
    this.members.push(member);
    const { childLifetimeMs } = this.#config;
    this.timers.set(`soft ${spiIn}`, after(now, softMs(this.#random, childLifetimeMs)));
    this.timers.set(`hard ${spiIn}`, after(now, childLifetimeMs));
    this.planVolumeRekey(member, now);
    return member;
  }

  /** New inbound: the peer may send on it from now on. */
  receive({ child }: Member): void {
    this.#out.push({ kind: 'child-inbound', child: child.pair, suite: child.suite });
  }

  /** New in both directions. */
  use(member: Member): void {
    this.#sending = member;
    this.timers.stop('create');
    this.#out.push({ kind: 'child-up', child: member.child.pair, suite: member.child.suite });
  }

  confirm(member: Member): void {
    member.phase = 'in-use';
    this.#sending = member;
    this.#out.push({ kind: 'child-outbound', spiIn: member.spiIn });
  }

  /** Away from an SA that ends, to the newest that the peer has as well. */
  switchOver(): boolean {
    const next = this.members.findLast((member) => member.phase === 'in-use' && member !== this.#sending);
    if (next === undefined) return false;
    this.confirm(next);
    return true;
  }

  /** There is nothing to send on but an SA that the peer may not have yet; a peer that stays silent has it. */
  expectConfirmation(now: Instant): void {
    const member = this.unconfirmed;
    if (member !== undefined) this.timers.set(`confirm ${member.spiIn}`, after(now, CONFIRM_MS));
  }

  replaced(member: Member): void {
    member.replaced = true;
    member.wantsRekey = false;
    for (const name of ['soft', 'volume'] as const) this.timers.stop(`${name} ${member.spiIn}`);
  }

  leave(member: Member): void {
    if (member.phase === 'draining') return;
    this.replaced(member);
    this.timers.stop(`hard ${member.spiIn}`);
    member.phase = 'leaving';
  }

  remove(member: Member, reason: string): void {
    this.members.splice(this.members.indexOf(member), 1);
    this.stopTimers(member);
    if (member === this.#sending) {
      this.#sending = undefined;
      // A peer that deletes what it accepts must not make us spin.
      this.timers.set('create', after(member.child.since, RECREATE_AFTER_MS));
    }
    this.#out.push({ kind: 'child-down', spiIn: member.spiIn, reason });
  }

  /** The one in use last: until then the tunnel has somewhere to send to. */
  clear(reason: string): void {
    const others = this.members.filter((member) => member !== this.#sending);
    for (const member of others) this.remove(member, reason);
    if (this.#sending !== undefined) this.remove(this.#sending, reason);
    this.timers.stopAll();
  }

  stopTimers({ spiIn }: Member): void {
    for (const name of ['soft', 'volume', 'hard', 'confirm', 'drain'] as const) this.timers.stop(`${name} ${spiIn}`);
  }

  /** Due now, or when what was reported will have grown to the limit. */
  planVolumeRekey(member: Member, now: Instant): void {
    if (member.replaced || member.volumeDue) return;
    const timer = `volume ${member.spiIn}` as const;
    const { rekeyAt } = member.allowance;
    if (rekeyAt !== undefined && rekeyAt > now) return this.timers.set(timer, rekeyAt);
    this.timers.stop(timer);
    if (rekeyAt !== undefined) member.wantsRekey = member.volumeDue = true;
  }

  /** What the peer sent before its DELETE may still arrive. */
  drain(member: Member, now: Instant): void {
    this.timers.set(`drain ${member.spiIn}`, after(now, DRAIN_MS));
  }

  drained(member: Member): void {
    this.remove(member, REPLACED);
  }

  cutDrainsShort(): void {
    const draining = this.members.filter(({ phase }) => phase === 'draining');
    for (const member of draining.slice(0, -MAX_DRAINING)) this.remove(member, REPLACED);
  }

  /** The peer is here now, as a fresh message of it shows. */
  moved(remote: Endpoint): void {
    const elsewhere = this.members.filter(({ child }) => !equalEndpoint(child.pair.remote, remote));
    if (elsewhere.length === 0) return;
    for (const member of elsewhere) member.child = { ...member.child, pair: { ...member.child.pair, remote } };
    this.#out.push({ kind: 'child-moved', remote });
  }
}

const equalEndpoint = (a: Endpoint, b: Endpoint): boolean => a.port === b.port && equalIp(a.address, b.address);
