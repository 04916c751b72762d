import { asPathLength, firstAs, type ImportJudge } from '../bgp/index.ts';
import type { BgpConfig, BgpRoute, PathAttributes } from '../bgp/types.ts';
import { type IpAddress, type PrefixKey, prefixKey } from '../lib/ip.ts';
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
  readonly rejected: string | undefined;
}

/** Neighbours with the same attributes that policy judges alike. */
export function* runs(announced: readonly BgpRoute[], judge: ImportJudge): Generator<Run> {
  let run: Run | undefined;
  for (const { prefix, attributes } of announced) {
    const key = prefixKey(prefix);
    const rejected = judge.objection(key, attributes);
    if (run?.attributes !== attributes || run.rejected !== rejected) {
      if (run !== undefined) yield run;
      run = { attributes, prefixes: [], rejected };
    }
    run.prefixes.push(key);
  }
  if (run !== undefined) yield run;
}

/** One announcement for neighbours that came together and were judged alike. */
export class Sharing {
  readonly #key: string;
  readonly #peer: Speaker;
  #last: Announcement<PathAttributes> | undefined;

  constructor(key: string, peer: Speaker) {
    this.#key = key;
    this.#peer = peer;
  }

  announcement(
    { attributes, receivedAt }: Pick<Announcement<PathAttributes>, 'attributes' | 'receivedAt'>,
    rejected: string | undefined,
  ): Announcement<PathAttributes> {
    const last = this.#last;
    if (last?.attributes === attributes && last.rejected === rejected && last.receivedAt === receivedAt) return last;
    const path = rejected === undefined ? ribPath(this.#key, this.#peer, attributes) : undefined;
    this.#last = { attributes, path, rejected, receivedAt };
    return this.#last;
  }
}

function ribPath(key: string, { config, routerId }: Speaker, attributes: PathAttributes): RibPath {
  return {
    peer: key,
    nextHop: attributes.nextHop,
    localPref: DEFAULT_LOCAL_PREF,
    asPathLength: asPathLength(attributes.asPath),
    neighborAs: firstAs(attributes.asPath) ?? 0,
    origin: attributes.origin,
    med: attributes.med ?? 0,
    peerRouterId: routerId,
    peerAddress: config.peerAddress,
  };
}
