import { asPathLength, firstAs, type ImportJudge, type Verdict } from '../bgp/index.ts';
import type { BgpConfig, BgpRoutes, ImportChanges, PathAttributes } from '../bgp/types.ts';
import { equalIp, type IpAddress, type PrefixKey } from '../lib/ip.ts';
import type { Announcement, RibPath } from '../rib/types.ts';

/** RFC 4271 §5.1.5: what an external route is worth before policy says otherwise. */
const DEFAULT_LOCAL_PREF = 100;

/** What no array holds below its length. */
const NO_KEY: PrefixKey = 0;

/** Who announces. */
export interface Speaker {
  readonly config: BgpConfig;
  /** BGP Identifier of the running session. */
  readonly routerId: IpAddress;
}

interface Run {
  readonly attributes: PathAttributes;
  readonly prefixes: readonly PrefixKey[];
  readonly verdict: Verdict;
}

/** Neighbours that policy judges alike; mostly all of an UPDATE. */
export function runs({ prefixes, attributes }: BgpRoutes, judge: ImportJudge): Run[] {
  const found: Run[] = [];
  let [start, last] = [0, undefined as Verdict | undefined];
  for (let i = 0; i < prefixes.length; i++) {
    const verdict = judge.judge(prefixes[i] ?? NO_KEY, attributes);
    if (last !== undefined && !sameVerdict(last, verdict)) {
      found.push({ attributes, prefixes: prefixes.slice(start, i), verdict: last });
      start = i;
    }
    last = verdict;
  }
  if (last !== undefined) {
    found.push({ attributes, prefixes: start === 0 ? prefixes : prefixes.slice(start), verdict: last });
  }
  return found;
}

const sameVerdict = (a: Verdict, b: Verdict): boolean =>
  a.rejected === b.rejected && a.set.preference === b.set.preference && a.set.med === b.set.med;

/** More kinds of paths than a sound table has; what is beyond is not shared. */
const MOST_PATHS = 1_000;

/**
 * One announcement for neighbours that came together and were judged alike, and one path object for all of one session that are
 * the same to the decision process: a table of 100,000 has a few dozen.
 */
export class Sharing {
  readonly #key: string;
  readonly #peer: Speaker;
  readonly #paths = new Map<string, RibPath>();
  #last: { readonly announcement: Announcement<PathAttributes>; readonly verdict: Verdict } | undefined;

  constructor(key: string, peer: Speaker) {
    this.#key = key;
    this.#peer = peer;
  }

  announcement(
    { attributes, receivedAt }: Pick<Announcement<PathAttributes>, 'attributes' | 'receivedAt'>,
    verdict: Verdict,
  ): Announcement<PathAttributes> {
    const last = this.#last?.announcement;
    const isSame = last?.attributes === attributes && last.receivedAt === receivedAt;
    if (isSame && this.#last !== undefined && sameVerdict(this.#last.verdict, verdict)) return last;
    const { rejected, set } = verdict;
    const path = rejected === undefined ? this.#path(attributes, set) : undefined;
    const announcement = { attributes, path, rejected, receivedAt };
    this.#last = { announcement, verdict };
    return announcement;
  }

  #path({ asPath, nextHop, origin, med }: PathAttributes, set: ImportChanges): RibPath {
    const localPref = set.preference ?? DEFAULT_LOCAL_PREF;
    const length = asPathLength(asPath);
    const neighborAs = firstAs(asPath) ?? 0;
    const effectiveMed = set.med ?? med ?? 0;
    const kind = `${localPref} ${length} ${neighborAs} ${origin} ${effectiveMed}`;
    const known = this.#paths.get(kind);
    if (known !== undefined && equalIp(known.nextHop, nextHop)) return known;
    const path: RibPath = {
      peer: this.#key,
      nextHop,
      localPref,
      asPathLength: length,
      neighborAs,
      origin,
      med: effectiveMed,
      peerRouterId: this.#peer.routerId,
      peerAddress: this.#peer.config.peerAddress,
    };
    if (this.#paths.size === MOST_PATHS) this.#paths.clear();
    this.#paths.set(kind, path);
    return path;
  }
}
