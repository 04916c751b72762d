import { type Prefix, type PrefixKey, prefixKey } from '../lib/ip.ts';
import { asPathHas, asPathLength, originAs } from './as-path.ts';
import { type PrefixMatcher, prefixMatcher } from './prefix-matcher.ts';
import type { ExportChanges, ExportRoute, PathAttributes } from './types.ts';

/** Prefixes within `prefix` whose length is from `ge` to `le`. */
export interface PrefixRange {
  readonly prefix: Prefix;
  readonly ge: number;
  readonly le: number;
}

/** Every part that is given must fit; a list fits when one of its members does. */
export interface RouteMatch {
  readonly prefixes: readonly PrefixRange[] | undefined;
  readonly asPath?: AsPathMatch | undefined;
  readonly communities?: readonly number[] | undefined;
  readonly largeCommunities?: readonly LargeCommunity[] | undefined;
}
export interface AsPathMatch {
  /** Is on the path. */
  readonly contains: number | undefined;
  /** Is its last AS: the origin of the route. */
  readonly origin: number | undefined;
  /** Hops at most. */
  readonly longest: number | undefined;
}
export type LargeCommunity = readonly [number, number, number];

/** One rule of a row of rules: the first whose `match` fits decides. */
export interface RouteRule<Changes> {
  readonly match: RouteMatch;
  readonly accept: boolean;
  /** What an accepted route gets. */
  readonly set: Changes;
}

/** Rules in order, made ready for big tables. */
export class RouteRules<Changes> {
  readonly #rules: readonly {
    readonly rule: RouteRule<Changes>;
    readonly ranges: readonly PrefixMatcher[] | undefined;
  }[];

  constructor(rules: readonly RouteRule<Changes>[]) {
    this.#rules = rules.map((rule) => ({ rule, ranges: rule.match.prefixes?.map(rangeMatcher) }));
  }

  /** The rule that decides, and its place from 1; undefined: none fits. Without `attributes` only prefixes are looked at. */
  find(key: PrefixKey, attributes?: PathAttributes): { rule: RouteRule<Changes>; place: number } | undefined {
    for (const [i, { rule, ranges }] of this.#rules.entries()) {
      if (ranges !== undefined && !ranges.some((matches) => matches(key))) continue;
      if (attributes === undefined || fits(rule.match, attributes)) return { rule, place: i + 1 };
    }
    return undefined;
  }
}

/** Own prefixes as peers are told of them; with rules, such as none accepts are left out. */
export function exportRoutes(
  prefixes: readonly Prefix[],
  rules?: readonly RouteRule<ExportChanges>[] | undefined,
): ExportRoute[] {
  if (rules === undefined) return prefixes.map((prefix) => ({ prefix, set: {} }));
  const ready = new RouteRules(rules);
  return prefixes.flatMap((prefix) => {
    const { rule } = ready.find(prefixKey(prefix)) ?? {};
    return rule?.accept === true ? [{ prefix, set: rule.set }] : [];
  });
}

const rangeMatcher = ({ prefix, ge, le }: PrefixRange): PrefixMatcher =>
  prefixMatcher(prefix, (length) => length >= ge && length <= le);

function fits({ asPath, communities, largeCommunities }: RouteMatch, route: PathAttributes): boolean {
  return (
    (asPath === undefined || fitsPath(asPath, route)) &&
    (communities === undefined || communities.some((each) => route.communities.includes(each))) &&
    (largeCommunities === undefined || largeCommunities.some((each) => hasLarge(route, each)))
  );
}

function fitsPath({ contains, origin, longest }: AsPathMatch, { asPath }: PathAttributes): boolean {
  return (
    (contains === undefined || asPathHas(asPath, contains)) &&
    (origin === undefined || originAs(asPath) === origin) &&
    (longest === undefined || asPathLength(asPath) <= longest)
  );
}

const hasLarge = ({ largeCommunities }: PathAttributes, wanted: LargeCommunity): boolean =>
  largeCommunities.some((parts) => parts.every((part, i) => part === wanted[i]));
