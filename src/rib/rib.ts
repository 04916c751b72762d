import { comparePrefix, type Prefix, type PrefixKey, prefixKey, prefixOfKey } from '../lib/ip.ts';
import { type Selection, selectPaths } from './best-path.ts';
import { samePath } from './path.ts';
import type { Announcement, PrefixChange, ReceivedRoute, RibEntry, RibPath } from './types.ts';

/** An announcement as it is kept: of one session of its peer. */
interface Held<Attributes> extends Announcement<Attributes> {
  readonly session: number;
}

interface Peer {
  /** Place in `Slot.held`. */
  readonly index: number;
  readonly maxPrefixes: number;
  /** Counts up with each telling of the table. */
  session: number;
  /** What was said before this session is remembered, but no route any more. */
  liveFrom: number;
  /** The running session has told its whole table. */
  complete: boolean;
  /** Of the running session. */
  received: number;
  accepted: number;
  /** Accepted ones of earlier sessions that nobody took back. */
  remembered: number;
  /** Expected back: what is remembered of it keeps its place among equal paths. */
  away: boolean;
}

/** Everything about one prefix. */
interface Slot<Attributes> {
  /** By the place of the peer. */
  held: (Held<Attributes> | undefined)[];
  /** Announced to an earlier run or by a peer that is gone: nobody knows whether it still holds. */
  ownerless: boolean;
  /** Waits in the list of changes. */
  changed: boolean;
}

const NOTHING: Selection = { multipath: [], losers: [] };
const NO_PATHS: readonly RibPath[] = [];

/**
 * The routing information base of RFC 4271 §3.2: what each peer has said and not taken back (Adj-RIB-In, with what policy
 * made of it) and what is chosen of it (Loc-RIB). One slot per prefix holds both, and the prefixes of an UPDATE share one
 * announcement, so a prefix from two peers takes some 200 octets. A choice is made when it is asked for.
 *
 * It also remembers accepted prefixes beyond the end of sessions, without limit of time: they tell what belongs to the far
 * end while nobody is there to ask. One goes when its peer withdraws it, or tells its whole table without it (the stale
 * routes of RFC 4724 §4.2, less their timer). Prefixes whose peer is gone for good, or unknown, go when all peers there
 * are have told their tables.
 */
export class Rib<Attributes> {
  readonly #peers = new Map<string, Peer>();
  readonly #slots = new Map<PrefixKey, Slot<Attributes>>();
  /** Peers that a slot has room for. */
  #places = 0;
  #changes: PrefixKey[] = [];
  #ownerless = 0;
  /** The last choice: neighbours in a table mostly come from the same UPDATEs. */
  #last: { readonly paths: readonly RibPath[]; readonly selection: Selection } = { paths: [], selection: NOTHING };
  #lastAwaited: Awaited = { multipath: NO_PATHS, candidates: NO_PATHS, awaited: NO_PATHS };

  /** `maxPrefixes`: the most that one session may announce. */
  addPeer(key: string, maxPrefixes: number): void {
    const taken = new Set([...this.#peers.values()].map(({ index }) => index));
    let index = 0;
    while (taken.has(index)) index++;
    this.#places = Math.max(this.#places, index + 1);
    const none = { received: 0, accepted: 0, remembered: 0, away: false };
    this.#peers.set(key, { index, maxPrefixes, session: 0, liveFrom: 0, complete: false, ...none });
  }

  /** Another peer may take its place: what it announced is remembered until then. */
  removePeer(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    for (const [prefix, slot] of this.#slots) {
      const held = slot.held[peer.index];
      if (held === undefined) continue;
      if (held.path !== undefined) this.#setOwnerless(slot, true);
      this.#put(peer, prefix, slot, undefined);
    }
    this.#peers.delete(key);
  }

  /** Announced to an earlier run, nobody knows by whom. */
  recall(prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) {
      const key = prefixKey(prefix);
      const slot = this.#slotOf(key);
      this.#setOwnerless(slot, true);
      this.#touch(key, slot);
    }
  }

  /** One UPDATE's prefixes that policy judged alike. */
  announce(key: string, prefixes: readonly PrefixKey[], announcement: Announcement<Attributes>): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    const held: Held<Attributes> = { ...announcement, session: peer.session };
    for (const prefix of prefixes) this.#put(peer, prefix, this.#slotOf(prefix), held);
  }

  withdraw(key: string, prefixes: readonly PrefixKey[]): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    for (const prefix of prefixes) {
      const slot = this.#slots.get(prefix);
      if (slot !== undefined) this.#put(peer, prefix, slot, undefined);
    }
  }

  /** Policy has changed: judges again every route of a peer, stale ones included. */
  judge(key: string, verdict: (prefix: PrefixKey, before: Announcement<Attributes>) => Announcement<Attributes>): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    for (const [prefix, slot] of this.#slots) {
      const held = slot.held[peer.index];
      if (held === undefined || !isLive(peer, held)) continue;
      const after = verdict(prefix, held);
      if (after !== held) this.#put(peer, prefix, slot, { ...after, session: held.session });
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
    const total = peer.received + peer.remembered;
    peer.complete = false;
    peer.session++;
    peer.remembered += peer.accepted;
    peer.received = 0;
    peer.accepted = 0;
    for (const [key, slot] of this.#slots) {
      const held = slot.held[peer.index];
      if (held?.session !== peer.session - 1 || held.path !== undefined) continue;
      slot.held[peer.index] = undefined;
      this.#touch(key, slot);
    }
    // a peer that tells another table each time must not fill the memory
    if (total > 2 * peer.maxPrefixes) this.#forget(peer, (session) => session < peer.session - 1);
  }

  /** Stale routes are routes no more, only remembered. */
  staleExpired(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined || peer.liveFrom === peer.session) return;
    for (const [key, slot] of this.#slots) {
      const held = slot.held[peer.index];
      if (held !== undefined && isLive(peer, held) && held.session < peer.session) this.#touch(key, slot);
    }
    peer.liveFrom = peer.session;
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
    if (peer.remembered === 0) return;
    for (const [key, slot] of this.#slots) {
      const held = slot.held[peer.index];
      if (held !== undefined && !isLive(peer, held)) this.#touch(key, slot);
    }
  }

  /** What a peer has announced, stale routes included, in the order of prefixes; undefined: no such peer. */
  received(key: string): ReceivedRoute<Attributes>[] | undefined {
    const peer = this.#peers.get(key);
    if (peer === undefined) return undefined;
    const routes: ReceivedRoute<Attributes>[] = [];
    for (const [prefix, { held }] of this.#slots) {
      const route = held[peer.index];
      if (route !== undefined && isLive(peer, route)) routes.push({ prefix: prefixOfKey(prefix), ...route });
    }
    return routes.sort((a, b) => comparePrefix(a.prefix, b.prefix));
  }

  /** Prefix by prefix what the peers have announced, whether policy took it or not; goes on while the tables change. */
  *announced(): Generator<{ readonly prefix: Prefix; readonly by: ReadonlyMap<string, Announcement<Attributes>> }> {
    for (const [key, { held }] of this.#slots) {
      const by = new Map<string, Announcement<Attributes>>();
      for (const [name, peer] of this.#peers) {
        const route = held[peer.index];
        if (route !== undefined && isLive(peer, route)) by.set(name, route);
      }
      if (by.size > 0) yield { prefix: prefixOfKey(key), by };
    }
  }

  /** Prefixes that the running session of a peer has announced, and how many of them policy accepted. */
  counts(key: string): { readonly received: number; readonly accepted: number } {
    const { received = 0, accepted = 0 } = this.#peers.get(key) ?? {};
    return { received, accepted };
  }

  /** Prefixes that `drainChanges` would name. */
  get pendingChanges(): number {
    return this.#changes.length;
  }

  /** The choice for one prefix; undefined when nobody offers a path. */
  entry(prefix: Prefix): RibEntry | undefined {
    const slot = this.#slots.get(prefixKey(prefix));
    const selection = slot === undefined ? NOTHING : this.#select(slot);
    return selection === NOTHING ? undefined : { prefix, ...selection };
  }

  /** All prefixes with a path, in order. */
  entries(): RibEntry[] {
    const entries: RibEntry[] = [];
    for (const [key, slot] of this.#slots) {
      const selection = this.#select(slot);
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
    for (const key of changes) {
      const slot = this.#slots.get(key);
      if (slot === undefined) continue;
      slot.changed = false;
      const announced = slot.ownerless || slot.held.some((held) => held?.path !== undefined);
      const { multipath } = this.#select(slot);
      visit({ key, multipath, awaited: this.#awaited(slot, multipath), announced });
      if (!announced && slot.held.every((held) => held === undefined)) this.#slots.delete(key);
    }
  }

  #slotOf(key: PrefixKey): Slot<Attributes> {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    // of its full size at once: an array that grows takes room for 17
    const slot: Slot<Attributes> = { held: new Array(this.#places).fill(undefined), ownerless: false, changed: false };
    this.#slots.set(key, slot);
    return slot;
  }

  /** Replaces what a peer says of a prefix. */
  #put(peer: Peer, key: PrefixKey, slot: Slot<Attributes>, after: Held<Attributes> | undefined): void {
    if (slot.held.length <= peer.index) slot.held = widened(slot.held, this.#places);
    const before = slot.held[peer.index];
    slot.held[peer.index] = after;
    count(peer, before, -1);
    count(peer, after, 1);
    const live = before !== undefined && isLive(peer, before) ? before.path : undefined;
    const announcedAsBefore = (before?.path === undefined) === (after?.path === undefined);
    // an empty slot goes with the changes
    if (after === undefined || !announcedAsBefore || !samePath(live, after.path)) this.#touch(key, slot);
  }

  #touch(key: PrefixKey, slot: Slot<Attributes>): void {
    if (slot.changed) return;
    slot.changed = true;
    this.#changes.push(key);
  }

  #setOwnerless(slot: Slot<Attributes>, ownerless: boolean): void {
    if (slot.ownerless !== ownerless) this.#ownerless += ownerless ? 1 : -1;
    slot.ownerless = ownerless;
  }

  #forget(peer: Peer, isOld: (session: number) => boolean): void {
    if (peer.remembered === 0) return;
    for (const [key, slot] of this.#slots) {
      const held = slot.held[peer.index];
      if (held !== undefined && isOld(held.session)) this.#put(peer, key, slot, undefined);
    }
  }

  /** Once all peers have told what there is. */
  #forgetOwnerless(): void {
    const peers = [...this.#peers.values()];
    if (this.#ownerless === 0 || peers.length === 0 || !peers.every(({ complete }) => complete)) return;
    for (const [key, slot] of this.#slots) {
      if (!slot.ownerless) continue;
      this.#setOwnerless(slot, false);
      this.#touch(key, slot);
    }
  }

  #select(slot: Slot<Attributes>): Selection {
    const paths: RibPath[] = [];
    for (const peer of this.#peers.values()) {
      const held = slot.held[peer.index];
      if (held?.path !== undefined && isLive(peer, held)) paths.push(held.path);
    }
    if (paths.length === 0) return NOTHING;
    const { paths: last } = this.#last;
    if (!sameMembers(paths, last)) {
      this.#last = { paths, selection: selectPaths(paths) };
    }
    return this.#last.selection;
  }

  /** What peers that are away had announced, as good as the paths in use. */
  #awaited(slot: Slot<Attributes>, multipath: readonly RibPath[]): readonly RibPath[] {
    if (multipath.length === 0) return NO_PATHS;
    const candidates: RibPath[] = [];
    for (const peer of this.#peers.values()) {
      const held = peer.away ? slot.held[peer.index] : undefined;
      if (held?.path !== undefined && !isLive(peer, held)) candidates.push(held.path);
    }
    if (candidates.length === 0) return NO_PATHS;
    const last = this.#lastAwaited;
    if (!sameMembers(last.multipath, multipath) || !sameMembers(last.candidates, candidates)) {
      this.#lastAwaited = { multipath, candidates, awaited: equalsOf(multipath, candidates) };
    }
    return this.#lastAwaited.awaited;
  }
}

interface Awaited {
  readonly multipath: readonly RibPath[];
  readonly candidates: readonly RibPath[];
  readonly awaited: readonly RibPath[];
}

/** Those of `candidates` that would be used beside all of `multipath`. */
function equalsOf(multipath: readonly RibPath[], candidates: readonly RibPath[]): readonly RibPath[] {
  const { multipath: together } = selectPaths([...multipath, ...candidates]);
  return multipath.every((path) => together.includes(path))
    ? candidates.filter((path) => together.includes(path))
    : NO_PATHS;
}

const sameMembers = (a: readonly RibPath[], b: readonly RibPath[]): boolean =>
  a.length === b.length && a.every((path, i) => path === b[i]);

function widened<T>(places: readonly (T | undefined)[], length: number): (T | undefined)[] {
  return Array.from({ length }, (_, i) => places[i]);
}

const isLive = (peer: Peer, { session }: Held<unknown>): boolean => session >= peer.liveFrom;

function count(peer: Peer, held: Held<unknown> | undefined, by: 1 | -1): void {
  if (held === undefined) return;
  if (held.session !== peer.session) {
    if (held.path !== undefined) peer.remembered += by;
    return;
  }
  peer.received += by;
  if (held.path !== undefined) peer.accepted += by;
}
