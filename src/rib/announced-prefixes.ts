import { type Prefix, prefixKey } from '../lib/ip.ts';

type Key = number | string;

/** What one peer announced. In `prefixes` those told longest ago come first. */
interface Peer {
  readonly prefixes: Map<Key, Prefix>;
  /** The most that `prefixes` may hold. */
  readonly limit: number;
  /** Announced in the running session. */
  readonly told: Set<Key>;
  /** The running session has told its whole table. */
  complete: boolean;
}

/**
 * What the peers announced and nobody took back. Unlike routes it outlives sessions, without end: it says what belongs to
 * the far end while nobody is there to ask.
 *
 * A prefix goes when its peer withdraws it, or tells its whole table without it (the stale routes of RFC 4724 §4.2, less
 * their timer). Prefixes whose peer is gone for good, or unknown, go when all peers there are have told their tables.
 */
export class AnnouncedPrefixes {
  readonly #peers = new Map<string, Peer>();
  readonly #ownerless = new Map<Key, Prefix>();

  /** Announced to an earlier run, nobody knows by whom. */
  recall(prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) this.#ownerless.set(prefixKey(prefix), prefix);
  }

  /** `maxPrefixes`: the most that one session may announce. */
  addPeer(key: string, maxPrefixes: number): void {
    const limit = 2 * maxPrefixes; // a whole table of the last session and one of the running session
    this.#peers.set(key, { prefixes: new Map(), limit, told: new Set(), complete: false });
  }

  /** Another peer may take its place: what it announced counts until then. */
  removePeer(key: string): void {
    this.recall([...(this.#peers.get(key)?.prefixes.values() ?? [])]);
    this.#peers.delete(key);
  }

  announce(key: string, prefixes: readonly Prefix[]): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    for (const prefix of prefixes) {
      const at = prefixKey(prefix);
      peer.prefixes.delete(at); // to the end
      peer.prefixes.set(at, prefix);
      peer.told.add(at);
    }
    for (const at of peer.prefixes.keys()) {
      if (peer.prefixes.size <= peer.limit) break;
      peer.prefixes.delete(at);
    }
  }

  withdraw(key: string, prefixes: readonly Prefix[]): void {
    const peer = this.#peers.get(key);
    for (const prefix of prefixes) {
      peer?.prefixes.delete(prefixKey(prefix));
      peer?.told.delete(prefixKey(prefix));
    }
  }

  /** End-of-RIB, or the time is up: what earlier sessions announced and this one did not is void. */
  tableComplete(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.complete = true;
    for (const at of peer.prefixes.keys()) if (!peer.told.has(at)) peer.prefixes.delete(at);
  }

  sessionLost(key: string): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.complete = false;
    peer.told.clear();
  }

  /** Each prefix once. Ask when peers that take the place of removed ones have been added. */
  prefixes(): Prefix[] {
    const peers = [...this.#peers.values()];
    if (peers.length > 0 && peers.every(({ complete }) => complete)) this.#ownerless.clear();
    const all = new Map(this.#ownerless);
    for (const peer of peers) for (const [at, prefix] of peer.prefixes) all.set(at, prefix);
    return [...all.values()];
  }
}
