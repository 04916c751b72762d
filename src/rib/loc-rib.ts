import { comparePrefix, equalIp, type Prefix, prefixKey } from '../lib/ip.ts';
import { selectPaths } from './best-path.ts';
import type { RibEntry, RibPath } from './types.ts';

/** A prefix and the path one peer offers to it. */
export interface RibRoute {
  readonly prefix: Prefix;
  readonly path: RibPath;
}

/** What became of the prefixes that were touched since the last look. */
export interface RibChanges {
  readonly updated: readonly RibEntry[];
  readonly removed: readonly Prefix[];
}

interface Slot {
  readonly prefix: Prefix;
  /** At most one per peer; few, so a list. */
  readonly paths: readonly RibPath[];
}

/**
 * RFC 4271 §9.1: the paths of all peers and what is chosen of them. The choice is made when it is asked for, so a
 * table that loads costs one decision per prefix, not one per path.
 */
export class LocRib {
  readonly #slots = new Map<number | string, Slot>();
  readonly #touched = new Map<number | string, Prefix>();

  /** Prefixes with at least one path. */
  get size(): number {
    return this.#slots.size;
  }

  /** Replaces or adds `peer`'s paths, then takes away the withdrawn ones. Accepted routes only. */
  update(peer: string, announced: readonly RibRoute[], withdrawn: readonly Prefix[]): void {
    for (const { prefix, path } of announced) this.#replace(peer, prefix, path);
    for (const prefix of withdrawn) this.#replace(peer, prefix, undefined);
  }

  /** The session is gone, and all it taught us. */
  removePeer(peer: string): void {
    for (const { prefix } of [...this.#slots.values()]) this.#replace(peer, prefix, undefined);
  }

  entry(prefix: Prefix): RibEntry | undefined {
    const slot = this.#slots.get(prefixKey(prefix));
    return slot === undefined ? undefined : toEntry(slot);
  }

  /** All of them, by prefix. */
  entries(): RibEntry[] {
    return [...this.#slots.values()].sort((a, b) => comparePrefix(a.prefix, b.prefix)).map(toEntry);
  }

  /** Touched since the last call: a prefix may be listed whose choice came out the same. */
  drainChanges(): RibChanges {
    const updated: RibEntry[] = [];
    const removed: Prefix[] = [];
    for (const [key, prefix] of this.#touched) {
      const slot = this.#slots.get(key);
      if (slot === undefined) removed.push(prefix);
      else updated.push(toEntry(slot));
    }
    this.#touched.clear();
    return { updated, removed };
  }

  #replace(peer: string, prefix: Prefix, path: RibPath | undefined): void {
    const key = prefixKey(prefix);
    const paths = this.#slots.get(key)?.paths ?? [];
    const before = paths.find((each) => each.peer === peer);
    if (before === path || (before !== undefined && path !== undefined && samePath(before, path))) return;
    const others = paths.filter((each) => each !== before);
    const after = path === undefined ? others : [...others, path];
    if (after.length === 0) this.#slots.delete(key);
    else this.#slots.set(key, { prefix, paths: after });
    this.#touched.set(key, prefix);
  }
}

const toEntry = (slot: Slot): RibEntry => ({ prefix: slot.prefix, ...selectPaths(slot.paths) });

function samePath(a: RibPath, b: RibPath): boolean {
  return (
    equalIp(a.nextHop, b.nextHop) &&
    a.localPref === b.localPref &&
    a.asPathLength === b.asPathLength &&
    a.neighborAs === b.neighborAs &&
    a.origin === b.origin &&
    a.med === b.med &&
    equalIp(a.peerRouterId, b.peerRouterId) &&
    equalIp(a.peerAddress, b.peerAddress)
  );
}
