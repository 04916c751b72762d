import { asPathLength, firstAs, type ImportJudge, type Verdict } from '../bgp/index.ts';
import type { BgpConfig, BgpRoutes, ImportChanges, PathAttributes } from '../bgp/types.ts';
import type { IpAddress, PrefixKey } from '../lib/ip.ts';
import type { Announcement, RibPath } from '../rib/types.ts';

/** RFC 4271 §5.1.5: what an external route is worth before policy says otherwise. */
const DEFAULT_LOCAL_PREF = 100;

/** Who announces. */
export interface Speaker {
  readonly config: BgpConfig;
  /** BGP Identifier of the running session. */
  readonly routerId: IpAddress;
}

interface Run {
  readonly attributes: PathAttributes;
  readonly prefixes: PrefixKey[];
  readonly verdict: Verdict;
}

/** Neighbours that policy judges alike. */
export function* runs({ prefixes, attributes }: BgpRoutes, judge: ImportJudge): Generator<Run> {
  let run: Run | undefined;
  for (const key of prefixes) {
    const verdict = judge.judge(key, attributes);
    if (run === undefined || !sameVerdict(run.verdict, verdict)) {
      if (run !== undefined) yield run;
      run = { attributes, prefixes: [], verdict };
    }
    run.prefixes.push(key);
  }
  if (run !== undefined) yield run;
}

const sameVerdict = (a: Verdict, b: Verdict): boolean =>
  a.rejected === b.rejected && a.set.preference === b.set.preference && a.set.med === b.set.med;

/** One announcement for neighbours that came together and were judged alike. */
export class Sharing {
  readonly #key: string;
  readonly #peer: Speaker;
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
    const path = rejected === undefined ? ribPath(this.#key, this.#peer, attributes, set) : undefined;
    const announcement = { attributes, path, rejected, receivedAt };
    this.#last = { announcement, verdict };
    return announcement;
  }
}

function ribPath(
  key: string,
  { config, routerId }: Speaker,
  attributes: PathAttributes,
  { preference, med }: ImportChanges,
): RibPath {
  return {
    peer: key,
    nextHop: attributes.nextHop,
    localPref: preference ?? DEFAULT_LOCAL_PREF,
    asPathLength: asPathLength(attributes.asPath),
    neighborAs: firstAs(attributes.asPath) ?? 0,
    origin: attributes.origin,
    med: med ?? attributes.med ?? 0,
    peerRouterId: routerId,
    peerAddress: config.peerAddress,
  };
}
