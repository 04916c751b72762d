import { type PrefixKey, prefixKey } from '../lib/ip.ts';
import type { BgpConfig, ExportChanges, ExportRoute } from './types.ts';
import type { Attributes, WireContext } from './wire/attributes.ts';
import { HEADER_OCTETS, MAX_MESSAGE_OCTETS } from './wire/iana.ts';
import { prefixOctets } from './wire/nlri.ts';
import type { UpdateMessage } from './wire/update.ts';

export interface RibDifference {
  readonly announced: readonly ExportRoute[];
  readonly withdrawn: readonly PrefixKey[];
}

/** What the peer should know of us, and what it was told. */
export class AdjRibOut {
  #desired = new Map<PrefixKey, ExportRoute>();
  #sent = new Map<PrefixKey, ExportRoute>();

  /** The first of several routes to one prefix counts. */
  set(routes: readonly ExportRoute[]): void {
    this.#desired = new Map();
    for (const route of routes) {
      const key = prefixKey(route.prefix);
      if (!this.#desired.has(key)) this.#desired.set(key, route);
    }
  }

  get size(): number {
    return this.#desired.size;
  }

  /** The difference, which counts as told from now on. */
  take(): RibDifference {
    const isTold = ([key, { set }]: [PrefixKey, ExportRoute]): boolean => {
      const sent = this.#sent.get(key);
      return sent !== undefined && changesKey(sent.set) === changesKey(set);
    };
    const announced = [...this.#desired].filter((entry) => !isTold(entry)).map(([, route]) => route);
    const withdrawn = [...this.#sent.keys()].filter((key) => !this.#desired.has(key));
    this.#sent = new Map(this.#desired);
    return { announced, withdrawn };
  }

  /** The peer knows nothing (any more), or asks for all of it again. */
  forget(): void {
    this.#sent.clear();
  }
}

/** As few UPDATEs as can tell the difference, withdrawals first. IPv4 unicast. */
export function differenceUpdates(
  { announced, withdrawn }: RibDifference,
  attributesOf: (set: ExportChanges) => Attributes,
): UpdateMessage[] {
  const updates = packed(withdrawn, LENGTHS_OCTETS).map((batch): UpdateMessage => ({ ...EMPTY, withdrawn: batch }));
  for (const { set, prefixes } of groups(announced)) {
    const attributes = attributesOf(set);
    for (const nlri of packed(prefixes, LENGTHS_OCTETS + attributeOctets(set)))
      updates.push({ ...EMPTY, attributes, nlri });
  }
  return updates;
}

/** AS4_PATH goes along when AS_PATH cannot hold our AS number (RFC 6793 §4.2.2). */
export function exportAttributes(config: BgpConfig, context: WireContext, set: ExportChanges): Attributes {
  const asns = new Array<number>(1 + (set.prepend ?? 0)).fill(config.localAs);
  const asPath = [{ type: 'sequence', asns }] as const;
  return {
    origin: 'igp',
    asPath,
    nextHop: config.localAddress,
    ...(set.med !== undefined && { med: set.med }),
    ...(set.communities !== undefined && { communities: set.communities }),
    ...(set.largeCommunities !== undefined && { largeCommunities: set.largeCommunities }),
    ...(context.asnOctets === 2 && config.localAs > 0xffff && { as4Path: asPath }),
  };
}

const EMPTY: UpdateMessage = { withdrawn: [], attributes: {}, unknown: [], nlri: [], faults: [] };

/** RFC 4724 §2: for IPv4 unicast an UPDATE with nothing in it. */
export const END_OF_RIB: UpdateMessage = EMPTY;

/** The header and both length fields. */
const LENGTHS_OCTETS = HEADER_OCTETS + 4;

/** Not less than the attributes take: origin, next hop and two AS paths of four-octet numbers, then what policy adds. */
function attributeOctets({ prepend = 0, communities = [], largeCommunities = [] }: ExportChanges): number {
  return 64 + 8 * prepend + 4 * communities.length + 12 * largeCommunities.length;
}

function groups(routes: readonly ExportRoute[]): { set: ExportChanges; prefixes: PrefixKey[] }[] {
  const byChanges = new Map<string, { set: ExportChanges; prefixes: PrefixKey[] }>();
  for (const { prefix, set } of routes) {
    const key = changesKey(set);
    const group = byChanges.get(key) ?? { set, prefixes: [] };
    group.prefixes.push(prefixKey(prefix));
    byChanges.set(key, group);
  }
  return [...byChanges.values()];
}

const changesKey = ({ prepend = 0, med, communities = [], largeCommunities = [] }: ExportChanges): string =>
  JSON.stringify([prepend, med, communities, largeCommunities]);

/** Rows of prefixes that fit into a message beside `takenOctets`. */
function packed(prefixes: readonly PrefixKey[], takenOctets: number): PrefixKey[][] {
  const batches: PrefixKey[][] = [];
  let batch: PrefixKey[] = [];
  let octets = 0;
  for (const prefix of prefixes) {
    const size = prefixOctets(prefix);
    if (batch.length === 0 || takenOctets + octets + size > MAX_MESSAGE_OCTETS) {
      batch = [];
      batches.push(batch);
      octets = 0;
    }
    batch.push(prefix);
    octets += size;
  }
  return batches;
}
