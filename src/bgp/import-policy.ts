import {
  equalIp,
  formatIp,
  formatPrefix,
  type IpAddress,
  type Prefix,
  type PrefixKey,
  prefix,
  prefixContains,
  prefixesOverlap,
  prefixOfKey,
} from '../lib/ip.ts';
import { asPathHas, firstAs, formatAsPath } from './as-path.ts';
import { type PrefixMatcher, prefixMatcher } from './prefix-matcher.ts';
import { type RouteRule, RouteRules } from './route-rules.ts';
import type { ImportChanges, PathAttributes } from './types.ts';

/** What a route must not do to be believed. Built by whoever knows the tunnels, WANs and LANs of this machine. */
export interface ImportPolicy {
  readonly localAs: number;
  /** AS of the neighbor the route comes from. */
  readonly remoteAs: number;
  readonly localAddress: IpAddress;
  /**
   * Tunnel endpoints, own and peers' BGP addresses, WAN and LAN subnets: learned routes for these would pull tunnel
   * packets into the tunnel or take local traffic away. `what` completes "covers …": `the tunnel endpoint 198.51.100.20`.
   */
  readonly protected: readonly { readonly prefix: Prefix; readonly what: string }[];
  /** Whether 0.0.0.0/0 is welcome: only a profile that carries all internet traffic announces it. */
  readonly allowDefaultRoute: boolean;
  /** Shortest and longest prefix length accepted; the default route is not measured. */
  readonly minLength: number;
  readonly maxLength: number;
  /** The operator's; a route that no rule accepts is rejected. Undefined: whatever the guards let through is accepted. */
  readonly rules?: readonly RouteRule<ImportChanges>[] | undefined;
}

/** What becomes of a route. */
export interface Verdict {
  /** The first objection found, which completes "rejected: …"; undefined: it is accepted. */
  readonly rejected: string | undefined;
  readonly set: ImportChanges;
}

/** Never unicast destinations beyond this machine and its links: RFC 6890, RFC 3927, RFC 5771. */
const MARTIANS = [
  { prefix: prefix('0.0.0.0/8'), what: '"this network"' },
  { prefix: prefix('127.0.0.0/8'), what: 'loopback' },
  { prefix: prefix('169.254.0.0/16'), what: 'link-local' },
  { prefix: prefix('224.0.0.0/4'), what: 'multicast' },
  { prefix: prefix('240.0.0.0/4'), what: 'reserved space' },
] as const;

const NO_RULE: Verdict = { rejected: 'no import rule accepts it', set: {} };
const ACCEPTED: Verdict = { rejected: undefined, set: {} };

/**
 * Import policy made ready for tables of 100,000 prefixes: the same route and policy give the same answer. The guards come
 * first: no rule lets through what they stop.
 */
export class ImportJudge {
  readonly #policy: ImportPolicy;
  /** Martians first, then what the policy protects. */
  readonly #guards: readonly Guard[];
  /** Those that a prefix of 8 bits or more can hit, by its first octet: most of a table meets none. */
  readonly #guardsOfOctet: readonly (readonly Guard[])[];
  readonly #rules: RouteRules<ImportChanges> | undefined;
  /** The answer that each rule gives. */
  readonly #verdicts = new Map<RouteRule<ImportChanges>, Verdict>();
  /** The objection to the attributes that were asked for last: an UPDATE's prefixes share theirs. */
  #last: { readonly attributes: PathAttributes; readonly objection: string | undefined } | undefined;

  constructor(policy: ImportPolicy) {
    this.#policy = policy;
    this.#guards = [...MARTIANS.map(martian), ...policy.protected.map(protectedSpace)];
    this.#guardsOfOctet = Array.from({ length: 256 }, (_, octet) => {
      const block: Prefix = { address: { family: 4, bytes: Uint8Array.of(octet, 0, 0, 0) }, length: 8 };
      return this.#guards.filter(({ space }) => prefixesOverlap(space, block));
    });
    this.#rules = policy.rules && new RouteRules(policy.rules);
  }

  judge(key: PrefixKey, attributes: PathAttributes): Verdict {
    if (this.#last?.attributes !== attributes) {
      this.#last = { attributes, objection: pathObjection(attributes, this.#policy) };
    }
    const objection = this.#last.objection ?? this.#prefixObjection(key);
    if (objection !== undefined) return { rejected: objection, set: {} };
    return this.#rules === undefined ? ACCEPTED : this.#ruled(this.#rules, key, attributes);
  }

  #ruled(rules: RouteRules<ImportChanges>, key: PrefixKey, attributes: PathAttributes): Verdict {
    const found = rules.find(key, attributes);
    if (found === undefined) return NO_RULE;
    const { rule, place } = found;
    const known = this.#verdicts.get(rule);
    if (known !== undefined) return known;
    const rejected = rule.accept ? undefined : `import rule ${place} rejects it`;
    const verdict = { rejected, set: rule.set };
    this.#verdicts.set(rule, verdict);
    return verdict;
  }

  #prefixObjection(key: PrefixKey): string | undefined {
    const { allowDefaultRoute, minLength, maxLength } = this.#policy;
    const length = typeof key === 'number' ? key % 64 : prefixOfKey(key).length;
    if (length === 0) {
      return allowDefaultRoute ? undefined : 'a default route is not expected from this forwarding profile';
    }
    const guard = this.#guardHit(key);
    if (guard?.kind === 'martian') return guard.reason(key);
    if (length < minLength) return `shorter than the /${minLength} allowed`;
    if (length > maxLength) return `longer than the /${maxLength} allowed`;
    return guard?.reason(key);
  }

  #guardHit(key: PrefixKey): Guard | undefined {
    for (const guard of this.#guardsThatMayHit(key)) if (guard.hits(key)) return guard;
    return undefined;
  }

  #guardsThatMayHit(key: PrefixKey): readonly Guard[] {
    if (typeof key === 'string' || key % 64 < 8) return this.#guards;
    return this.#guardsOfOctet[Math.floor(key / 2 ** 30)] ?? this.#guards;
  }
}

/** Address space that learned routes keep out of. */
interface Guard {
  readonly kind: 'martian' | 'protected';
  readonly space: Prefix;
  readonly hits: PrefixMatcher;
  reason(key: PrefixKey): string;
}

function martian({ prefix: space, what }: { readonly prefix: Prefix; readonly what: string }): Guard {
  const reason = `${what} (${formatPrefix(space)}) is never routed`;
  return {
    kind: 'martian',
    space,
    hits: prefixMatcher(space, (length) => length >= space.length),
    reason: () => reason,
  };
}

function protectedSpace({ prefix: space, what }: { readonly prefix: Prefix; readonly what: string }): Guard {
  const reason = (key: PrefixKey) => `${prefixContains(prefixOfKey(key), space) ? 'covers' : 'lies within'} ${what}`;
  return { kind: 'protected', space, hits: prefixMatcher(space, () => true), reason };
}

function pathObjection({ asPath, nextHop }: PathAttributes, policy: ImportPolicy): string | undefined {
  if (asPathHas(asPath, policy.localAs)) {
    return `AS path "${formatAsPath(asPath)}" contains our own AS ${policy.localAs} (loop)`;
  }
  // RFC 4271 §6.3: a neighbor prepends its own AS to everything it sends.
  if (firstAs(asPath) !== policy.remoteAs) {
    return `AS path "${formatAsPath(asPath)}" does not start with the neighbor's AS ${policy.remoteAs}`;
  }
  return equalIp(nextHop, policy.localAddress) ? `next hop ${formatIp(nextHop)} is our own address` : undefined;
}
