import type { IpAddress, PrefixKey } from '../lib/ip.ts';
import { mergeAs4Path } from './as-path.ts';
import type { BgpRoutes, PathAttributes } from './types.ts';
import type { Attributes } from './wire/attributes.ts';
import { AS_TRANS, AttributeFlag } from './wire/iana.ts';
import type { RawAttribute, UpdateMessage } from './wire/update.ts';

/** What one UPDATE of an external peer means for its Adj-RIB-In. */
export interface UpdateRoutes {
  readonly announced: readonly BgpRoutes[];
  readonly withdrawn: readonly PrefixKey[];
  /** Family of an End-of-RIB marker, RFC 4724 §2. */
  readonly endOfRib: 4 | 6 | undefined;
  /** Why announced prefixes became withdrawn ones, RFC 7606 §2. */
  readonly treatedAsWithdraw: string | undefined;
}

/** Prefixes with one next hop: the NLRI field, or MP_REACH_NLRI. */
interface Reach {
  readonly nextHop: IpAddress | undefined;
  readonly prefixes: readonly PrefixKey[];
}

const NONE: readonly never[] = [];

export function updateRoutes(update: UpdateMessage): UpdateRoutes {
  const { mpUnreach } = update.attributes;
  const withdrawn = mpUnreach?.family ? [...update.withdrawn, ...mpUnreach.prefixes] : update.withdrawn;
  const reaches = reachesOf(update);
  const announcedAny = reaches.some((reach) => reach.prefixes.length > 0);
  if (!announcedAny) {
    const endOfRib = withdrawn.length === 0 ? endOfRibFamily(update) : undefined;
    return { announced: [], withdrawn, endOfRib, treatedAsWithdraw: undefined };
  }
  const common = commonAttributes(update);
  const fault =
    update.faults.find((each) => each.action === 'treat-as-withdraw')?.detail ??
    (typeof common === 'string' ? common : undefined) ??
    (reaches.some((reach) => reach.nextHop === undefined) ? 'NEXT_HOP is missing' : undefined);
  if (fault !== undefined || typeof common === 'string') {
    const all = [...withdrawn, ...reaches.flatMap((reach) => reach.prefixes)];
    return { announced: [], withdrawn: all, endOfRib: undefined, treatedAsWithdraw: fault };
  }
  const announced = reaches.flatMap(({ nextHop, prefixes }) => {
    if (nextHop === undefined) return [];
    return prefixes.length === 0 ? [] : [{ prefixes, attributes: common(nextHop) }];
  });
  return { announced, withdrawn, endOfRib: undefined, treatedAsWithdraw: undefined };
}

function reachesOf(update: UpdateMessage): Reach[] {
  const reaches: Reach[] = [];
  if (update.nlri.length > 0) reaches.push({ nextHop: update.attributes.nextHop, prefixes: update.nlri });
  const mp = update.attributes.mpReach;
  if (mp?.family !== undefined) reaches.push({ nextHop: mp.nextHop, prefixes: mp.prefixes });
  return reaches;
}

/** Everything but the next hop; a string says which mandatory attribute is missing or wrong (RFC 7606 §3 d). */
function commonAttributes({ attributes, unknown }: UpdateMessage): ((nextHop: IpAddress) => PathAttributes) | string {
  const { origin } = attributes;
  if (origin === undefined) return 'ORIGIN is missing';
  if (attributes.asPath === undefined) return 'AS_PATH is missing';
  // RFC 5065 §5: confederation segments do not leave their confederation.
  if (attributes.asPath.some((segment) => segment.type.startsWith('confed')))
    return 'AS_PATH has confederation segments';
  const { asPath, aggregator } = as4Merged(attributes, attributes.asPath);
  // field by field: objects that are put together from others get a hidden class each, and a table has 100,000 of these
  return (nextHop) => ({
    origin,
    asPath,
    nextHop,
    med: attributes.med,
    localPref: undefined, // LOCAL_PREF of an external peer is discarded, RFC 7606 §7.5
    atomicAggregate: attributes.atomicAggregate ?? false,
    aggregator,
    communities: attributes.communities ?? NONE,
    largeCommunities: attributes.largeCommunities ?? NONE,
    extendedCommunities: attributes.extendedCommunities ?? NONE,
    onlyToCustomer: attributes.onlyToCustomer,
    unknown: unknown.length === 0 ? NONE : unknown.flatMap(passOn),
  });
}

/** RFC 6793 §4.2.3: an AGGREGATOR that is not AS_TRANS was set by a two-octet speaker later; then the AS4 pair is stale. */
function as4Merged(
  attributes: Attributes,
  asPath: PathAttributes['asPath'],
): Pick<PathAttributes, 'asPath' | 'aggregator'> {
  const { aggregator, as4Path, as4Aggregator } = attributes;
  const stale = as4Aggregator !== undefined && aggregator !== undefined && aggregator.asn !== AS_TRANS;
  return {
    asPath: as4Path === undefined || stale ? asPath : mergeAs4Path(asPath, as4Path),
    aggregator: as4Aggregator === undefined || stale || aggregator === undefined ? aggregator : as4Aggregator,
  };
}

/** RFC 4271 §5: unrecognized transitive attributes are kept with the Partial bit, others are dropped. */
function passOn(raw: RawAttribute): RawAttribute[] {
  if ((raw.flags & AttributeFlag.Transitive) === 0) return [];
  return [{ ...raw, flags: raw.flags | AttributeFlag.Partial }];
}

/** Nothing at all means IPv4; an MP_UNREACH_NLRI alone, without prefixes, its own family. */
function endOfRibFamily(update: UpdateMessage): 4 | 6 | undefined {
  if (update.faults.length > 0 || update.unknown.length > 0) return undefined;
  const keys = Object.keys(update.attributes);
  if (keys.length === 0) return 4;
  return keys.length === 1 ? update.attributes.mpUnreach?.family : undefined;
}
