import { comparePrefix, type Prefix, type PrefixKey, prefixKey, prefixOfKey } from '../lib/ip.ts';
import { PrefixIndex } from '../lib/prefix-index.ts';
import { AdjRibIn, type Held, heldOf } from './adj-rib-in.ts';
import type { Selection } from './best-path.ts';
import { Choices, NOTHING } from './choices.ts';
import { samePath } from './path.ts';
import type { Announcement, PrefixChange, ReceivedRoute, RibEntry, RibPath } from './types.ts';

/** Bits of a prefix. */
const OWNERLESS = 1;
const CHANGED = 2;

/**
 * The routing information base of RFC 4271 §3.2: what each peer has said and not taken back (Adj-RIB-In, with what policy
 * made of it) and what is chosen of it (Loc-RIB). A prefix is a row, each peer a column, and the prefixes of an UPDATE share
 * one announcement, so a prefix from two peers takes some 40 octets. A choice is made when it is asked for.
 *
 * It also remembers accepted prefixes beyond the end of sessions, without limit of time: they tell what belongs to the far
 * end while nobody is there to ask. One goes when its peer withdraws it, or tells its whole table without it (the stale
 * routes of RFC 4724 §4.2, less their timer). Prefixes whose peer is gone for good, or unknown (`OWNERLESS`), go when all
 * peers there are have told their tables.
 */
export class Rib<Attributes> {
  readonly #peers = new Map<string, AdjRibIn<Attributes>>();
  readonly #index = new PrefixIndex();
  /** By row. */
  #bits = new Uint8Array(64);
  /** Rows with the bit `CHANGED`. */
  #changes: number[] = [];
  #ownerless = 0;
  readonly #choices = new Choices();
  /** Of one prefix after the other. */
  readonly #paths: RibPath[] = [];

  /** `maxPrefixes`: the most that one session may announce. */
  addPeer(key: string, maxPrefixes: number): void {
    this.#peers.set(key, new AdjRibIn(maxPrefixes));
  }

  /** Another peer may take its place: what it announced is remembered until then. */
  removePeer(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    for (const row of peer.rowsOf(() => true)) {
      if (peer.at(row)?.path !== undefined) this.#setOwnerless(row, true);
      this.#touch(row);
    }
    this.#peers.delete(key);
  }

  /** Announced to an earlier run, nobody knows by whom. */
  recall(prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) {
      const row = this.#rowOf(prefixKey(prefix));
      this.#setOwnerless(row, true);
      this.#touch(row);
    }
  }

  /** One UPDATE's prefixes that policy judged alike. */
  announce(key: string, prefixes: readonly PrefixKey[], announcement: Announcement<Attributes>): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    const held = heldOf(announcement, peer.session);
    for (const prefix of prefixes) this.#put(peer, this.#rowOf(prefix), held);
  }

  withdraw(key: string, prefixes: readonly PrefixKey[]): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    for (const prefix of prefixes) {
      const row = this.#index.find(prefix);
      if (row >= 0) this.#put(peer, row, undefined);
    }
  }

  /** Policy has changed: judges again every route of a peer, stale ones included. */
  judge(key: string, verdict: (prefix: PrefixKey, before: Announcement<Attributes>) => Announcement<Attributes>): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    for (const row of peer.rowsOf((held) => peer.isLive(held))) {
      const [prefix, held] = [this.#index.key(row), peer.at(row)];
      if (prefix === undefined || held === undefined) continue;
      const after = verdict(prefix, held);
      if (after !== held) this.#put(peer, row, heldOf(after, held.session));
    }
  }

  /** End-of-RIB, or the time is up: what earlier sessions announced and this one did not is void. */
  tableComplete(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.complete = true;
    this.#forget(peer, (session) => session < peer.session);
  }

  /** The session has ended, and its routes with it. */
  sessionLost(key: string): void {
    this.sessionPaused(key);
    this.staleExpired(key);
  }

  /** The peer will tell its table again: what it does not repeat until `tableComplete` is void then, and stale meanwhile. */
  sessionPaused(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    const total = peer.counts.received + peer.remembered;
    for (const row of peer.nextSession()) this.#touch(row);
    // a peer that tells another table each time must not fill the memory
    if (total > 2 * peer.maxPrefixes) this.#forget(peer, (session) => session < peer.session - 1);
  }

  /** Stale routes are routes no more, only remembered. */
  staleExpired(key: string): void {
    const peer = this.#peers.get(key);
    if (peer?.hasStale === true) for (const row of peer.expireStale()) this.#touch(row);
  }

  /** Whether anything of earlier sessions is remembered. */
  remembers(key: string): boolean {
    return (this.#peers.get(key)?.remembered ?? 0) > 0;
  }

  /**
   * A peer that is away is expected back, with the same table: see `PrefixChange.awaited`. One that is not counts by what it
   * says now.
   */
  setAway(key: string, away: boolean): void {
    const peer = this.#peers.get(key);
    if (peer === undefined || peer.away === away) return;
    peer.away = away;
    if (peer.remembered > 0) for (const row of peer.rowsOf((held) => !peer.isLive(held))) this.#touch(row);
  }

  /** What a peer has announced, stale routes included, in the order of prefixes; undefined: no such peer. */
  received(key: string): ReceivedRoute<Attributes>[] | undefined {
    const peer = this.#peers.get(key);
    if (peer === undefined) return undefined;
    const routes: ReceivedRoute<Attributes>[] = [];
    for (const key of this.#index.keys()) {
      const route = peer.live(this.#index.find(key));
      if (route !== undefined) routes.push({ prefix: prefixOfKey(key), ...route });
    }
    return routes.sort((a, b) => comparePrefix(a.prefix, b.prefix));
  }

  /** Prefix by prefix what the peers have announced, whether policy took it or not; goes on while the tables change. */
  *announced(): Generator<{ readonly prefix: PrefixKey; readonly by: ReadonlyMap<string, Announcement<Attributes>> }> {
    for (const prefix of this.#index.keys()) {
      const row = this.#index.find(prefix);
      const by = new Map<string, Announcement<Attributes>>();
      for (const [name, peer] of this.#peers) {
        const route = peer.live(row);
        if (route !== undefined) by.set(name, route);
      }
      if (by.size > 0) yield { prefix, by };
    }
  }

  /** Prefixes that the running session of a peer has announced, and how many of them policy accepted. */
  counts(key: string): { readonly received: number; readonly accepted: number } {
    return this.#peers.get(key)?.counts ?? { received: 0, accepted: 0 };
  }

  /** Prefixes that `drainChanges` would name. */
  get pendingChanges(): number {
    return this.#changes.length;
  }

  /** The choice for one prefix; undefined when nobody offers a path. */
  entry(prefix: Prefix): RibEntry | undefined {
    const selection = this.#select(this.#index.find(prefixKey(prefix)));
    return selection === NOTHING ? undefined : { prefix, ...selection };
  }

  /** All prefixes with a path, in order. */
  entries(): RibEntry[] {
    const entries: RibEntry[] = [];
    for (const key of this.#index.keys()) {
      const selection = this.#select(this.#index.find(key));
      if (selection !== NOTHING) entries.push({ prefix: prefixOfKey(key), ...selection });
    }
    return entries.sort((a, b) => comparePrefix(a.prefix, b.prefix));
  }

  /**
   * Gives each prefix that was touched since the last call to `visit`, once; its choice may have come out the same. Call
   * when peers that take the place of removed ones have been added.
   */
  drainChanges(visit: (change: PrefixChange) => void): void {
    this.#forgetOwnerless();
    const changes = this.#changes;
    this.#changes = [];
    const peers = [...this.#peers.values()];
    for (const row of changes) {
      this.#clear(row, CHANGED);
      const key = this.#index.key(row);
      if (key === undefined) continue;
      const announced = this.#has(row, OWNERLESS) || peers.some((peer) => peer.at(row)?.path !== undefined);
      const { multipath } = this.#select(row);
      visit({ key, multipath, awaited: this.#awaited(row, multipath), announced });
      if (!announced && peers.every((peer) => peer.at(row) === undefined)) this.#index.delete(key);
    }
  }

  #rowOf(key: PrefixKey): number {
    const row = this.#index.add(key);
    if (row >= this.#bits.length) {
      const bits = new Uint8Array(2 * this.#bits.length);
      bits.set(this.#bits);
      this.#bits = bits;
    }
    return row;
  }

  /** Replaces what a peer says of a prefix. */
  #put(peer: AdjRibIn<Attributes>, row: number, after: Held<Attributes> | undefined): void {
    const before = peer.at(row);
    peer.put(row, after);
    const live = before !== undefined && peer.isLive(before) ? before.path : undefined;
    const announcedAsBefore = (before?.path === undefined) === (after?.path === undefined);
    // an empty row goes with the changes
    if (after === undefined || !announcedAsBefore || !samePath(live, after.path)) this.#touch(row);
  }

  #touch(row: number): void {
    if (this.#has(row, CHANGED)) return;
    this.#set(row, CHANGED);
    this.#changes.push(row);
  }

  #setOwnerless(row: number, ownerless: boolean): void {
    if (this.#has(row, OWNERLESS) === ownerless) return;
    this.#ownerless += ownerless ? 1 : -1;
    if (ownerless) this.#set(row, OWNERLESS);
    else this.#clear(row, OWNERLESS);
  }

  #has(row: number, bit: number): boolean {
    return ((this.#bits[row] ?? 0) & bit) !== 0;
  }
  #set(row: number, bit: number): void {
    this.#bits[row] = (this.#bits[row] ?? 0) | bit;
  }
  #clear(row: number, bit: number): void {
    this.#bits[row] = (this.#bits[row] ?? 0) & ~bit;
  }

  #forget(peer: AdjRibIn<Attributes>, isOld: (session: number) => boolean): void {
    if (peer.remembered === 0) return;
    for (const row of peer.rowsOf(({ session }) => isOld(session))) this.#put(peer, row, undefined);
  }

  /** Once all peers have told what there is. */
  #forgetOwnerless(): void {
    const peers = [...this.#peers.values()];
    if (this.#ownerless === 0 || peers.length === 0 || !peers.every(({ complete }) => complete)) return;
    for (let row = 0; row < this.#index.rows; row++) {
      if (!this.#has(row, OWNERLESS)) continue;
      this.#setOwnerless(row, false);
      this.#touch(row);
    }
  }

  #select(row: number): Selection {
    const paths = this.#paths;
    paths.length = 0;
    for (const peer of this.#peers.values()) {
      const path = peer.live(row)?.path;
      if (path !== undefined) paths.push(path);
    }
    return this.#choices.among(paths);
  }

  /** What peers that are away had announced, as good as the paths in use. */
  #awaited(row: number, multipath: readonly RibPath[]): readonly RibPath[] {
    const candidates: RibPath[] = [];
    for (const peer of this.#peers.values()) {
      const held = peer.away && multipath.length > 0 ? peer.at(row) : undefined;
      if (held?.path !== undefined && !peer.isLive(held)) candidates.push(held.path);
    }
    return this.#choices.beside(multipath, candidates);
  }
}
