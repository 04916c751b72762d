import { formatKey, type Prefix, prefixKey } from '../../../src/lib/ip.ts';
import { instant } from '../../../src/lib/time.ts';
import { Rib } from '../../../src/rib/index.ts';
import type { RibPath } from '../../../src/rib/types.ts';
import { ribPath } from './rib-path.ts';

/** A Rib whose announcements are paths alone, and the prefixes that its changes leave to a follower. */
export class RibDriver {
  readonly rib = new Rib<string>();
  /** Paths and announced prefixes as the changes so far tell them. */
  readonly paths = new Map<string, readonly RibPath[]>();
  readonly announced = new Set<string>();

  constructor(...peers: string[]) {
    for (const peer of peers) this.rib.addPeer(peer, 10);
  }

  announce(peer: string, prefixes: readonly Prefix[], path: RibPath | 'rejected' = ribPath(peer), at = 0): void {
    const verdict = path === 'rejected' ? { path: undefined, rejected: 'not wanted' } : { path, rejected: undefined };
    const announcement = { attributes: 'as told', ...verdict, receivedAt: instant(at) };
    this.rib.announce(peer, prefixes.map(prefixKey), announcement);
  }
  withdraw(peer: string, prefixes: readonly Prefix[]): void {
    this.rib.withdraw(peer, prefixes.map(prefixKey));
  }

  /** Prefixes that the changes since the last call name. */
  drain(): string[] {
    const named: string[] = [];
    this.rib.drainChanges(({ key, multipath, announced }) => {
      const text = formatKey(key);
      named.push(text);
      if (multipath.length === 0) this.paths.delete(text);
      else this.paths.set(text, multipath);
      if (announced) this.announced.add(text);
      else this.announced.delete(text);
    });
    return named;
  }
  /** What the peers have announced, as a follower knows it. */
  held(): string[] {
    this.drain();
    return [...this.announced].sort();
  }
  /** Peers of the chosen paths. */
  chosen(prefix: Prefix): string[] | undefined {
    return this.rib.entry(prefix)?.multipath.map((path) => path.peer);
  }
}
