import { hostPrefix, type IpAddress, type Prefix } from '../lib/ip.ts';
import { identity } from './format.ts';
import type { FibInput, FibPermit, FibTunnel, KernelObject } from './types.ts';
import { CLOSED_TABLE, MAIN_TABLE, MARK, MARK_MASK, NEXTHOP_ID, RULE_PRIORITY, TABLE } from './types.ts';

const MAX_TUNNELS = NEXTHOP_ID.group - NEXTHOP_ID.first;
const GROUP_IDS = NEXTHOP_ID.last - NEXTHOP_ID.group + 1;
/** `lo` has index 1 in every network namespace. */
const LOOPBACK_INDEX = 1;

/**
 * The kernel objects that realise `input`, bottom up: addresses, nexthops, groups, routes, rules.
 *
 * Ids depend on the set of tunnels and on the path sets only, never on which tunnels are up: a group keeps the id of the
 * announced path set while its members come and go, so the loss of a tunnel changes no route.
 * A route whose tunnels are all down is left out; its blackhole stays. IPv4 only: other families are ignored.
 */
export function desired(input: FibInput): KernelObject[] {
  const paths = pathsOf(input.tunnels);
  const addresses = localAddresses(input, paths);
  const peers = peerRoutes(paths, addresses);
  const learned = learnedRoutes(input, paths, addresses);
  return unique([
    ...addresses,
    ...[...paths.values()].filter((path) => path.tunnel.up).map(nexthopOf),
    ...learned.groups,
    ...blackholes(input),
    ...peers,
    ...learned.routes,
    ...rules(input),
  ]);
}

/** The prefixes whose packets `objects` keep from the WAN: what a killed run had learned, found in the kernel it left. */
export function heldBack(objects: readonly KernelObject[]): Prefix[] {
  return objects.flatMap((object) =>
    object.kind === 'route' && object.table === CLOSED_TABLE && object.nexthop === 'blackhole' ? [object.prefix] : [],
  );
}

/** A tunnel at its place in the order of interface names (`tw2` before `tw10`). */
interface Path {
  readonly position: number;
  readonly tunnel: FibTunnel;
}
type Paths = ReadonlyMap<string, Path>;
type Of<Kind extends KernelObject['kind']> = Extract<KernelObject, { kind: Kind }>;

function pathsOf(tunnels: readonly FibTunnel[]): Paths {
  if (tunnels.length > MAX_TUNNELS) throw new RangeError(`at most ${MAX_TUNNELS} tunnels, not ${tunnels.length}`);
  const sorted = [...tunnels].sort((a, b) => compareNames(a.interface, b.interface));
  return new Map(sorted.map((tunnel, position) => [tunnel.interface, { position, tunnel }]));
}

function localAddresses(input: FibInput, paths: Paths): Of<'address'>[] {
  return input.bgpLocalAddresses.flatMap(({ address, interface: name }) => {
    const interfaceIndex = name === 'lo' ? LOOPBACK_INDEX : paths.get(name)?.tunnel.interfaceIndex;
    return interfaceIndex === undefined || address.family !== 4 ? [] : [{ kind: 'address', address, interfaceIndex }];
  });
}

const nexthopId = (path: Path): number => NEXTHOP_ID.first + path.position;
const nexthopOf = (path: Path): Of<'nexthop'> => ({
  kind: 'nexthop',
  id: nexthopId(path),
  interfaceIndex: path.tunnel.interfaceIndex,
});

/** Each BGP speaker behind its own tunnel only: the route there must not come out of BGP itself. */
function peerRoutes(paths: Paths, addresses: readonly Of<'address'>[]): Of<'route'>[] {
  return [...paths.values()].flatMap((path) =>
    path.tunnel.up
      ? path.tunnel.bgpPeers.filter(isV4).map((peer) => ({
          kind: 'route' as const,
          prefix: hostPrefix(peer),
          table: TABLE,
          nexthop: nexthopId(path),
          source: sourceFor(path, addresses),
        }))
      : [],
  );
}

function learnedRoutes(input: FibInput, paths: Paths, addresses: readonly Of<'address'>[]) {
  const sets = input.routes
    .filter(({ prefix }) => isV4(prefix.address))
    .map(({ prefix, via }) => ({ prefix, set: pathSet(via, paths) }));
  const groupIds = allocateGroupIds(sets.map(({ set }) => set));
  const groups = new Map<number, Of<'nexthop-group'>>();
  const routes: Of<'route'>[] = [];
  for (const { prefix, set } of sets) {
    const [first] = set;
    const members = set.filter((path) => path.tunnel.up).map(nexthopId);
    if (first === undefined || members.length === 0) continue;
    const group = groupIds.get(setKey(set));
    if (group !== undefined) groups.set(group, { kind: 'nexthop-group', id: group, members });
    const nexthop = group ?? nexthopId(first);
    routes.push({ kind: 'route', prefix, table: TABLE, nexthop, source: sourceFor(first, addresses) });
  }
  return { groups: [...groups.values()], routes };
}

/** For rows that must not fall back to the WAN. They lie behind the tunnels' routes and refer to nothing that can go away. */
function blackholes({ announced, permits }: FibInput): Of<'route'>[] {
  if (!permits.some(({ use, destination }) => use === 'tunnels-only' && destination === undefined)) return [];
  return announced
    .filter(({ address }) => isV4(address))
    .map((prefix) => ({ kind: 'route', prefix, table: CLOSED_TABLE, nexthop: 'blackhole', source: undefined }));
}

/** The known tunnels of `via` in the order of their positions, up or not. */
function pathSet(via: readonly string[], paths: Paths): Path[] {
  const set = [...new Set(via)].flatMap((name) => paths.get(name) ?? []);
  return set.sort((a, b) => a.position - b.position);
}

const setKey = (set: readonly Path[]): bigint => set.reduce((bits, path) => bits | (1n << BigInt(path.position)), 0n);

/**
 * A group id for every path set of two or more: the set as a bit mask while that fits (nine tunnels, every subset).
 * Beyond that masks may meet; then the higher mask takes the next free id.
 */
function allocateGroupIds(sets: readonly (readonly Path[])[]): ReadonlyMap<bigint, number> {
  const keys = [...new Set(sets.filter((set) => set.length > 1).map(setKey))].sort((a, b) => (a < b ? -1 : 1));
  if (keys.length > GROUP_IDS) throw new RangeError(`at most ${GROUP_IDS} different path sets, not ${keys.length}`);
  const taken = new Set<number>();
  return new Map(
    keys.map((key) => {
      let slot = Number(key % BigInt(GROUP_IDS));
      while (taken.has(slot)) slot = (slot + 1) % GROUP_IDS;
      taken.add(slot);
      return [key, NEXTHOP_ID.group + slot];
    }),
  );
}

/** The address our own packets leave with: that of the tunnel, or the first there is (one on `lo` serves all tunnels). */
function sourceFor(path: Path, addresses: readonly Of<'address'>[]): IpAddress | undefined {
  const own = addresses.find(({ interfaceIndex }) => interfaceIndex === path.tunnel.interfaceIndex);
  return (own ?? addresses[0])?.address;
}

function rules(input: FibInput): Of<'rule'>[] {
  const mark = { value: MARK, mask: MARK_MASK };
  const locals = input.bgpLocalAddresses.map(({ address }) => address).filter(isV4);
  const peers = input.tunnels.flatMap((tunnel) => tunnel.bgpPeers).filter(isV4);
  return [
    rule(RULE_PRIORITY.mark, MAIN_TABLE, { mark }),
    ...locals.map((address) => rule(RULE_PRIORITY.bgpLocal, TABLE, { source: hostPrefix(address) })),
    ...peers.map((address) => rule(RULE_PRIORITY.bgpPeer, TABLE, { destination: hostPrefix(address) })),
    ...permitRules(input.permits.filter(isV4Permit)),
  ];
}

/**
 * Two priorities for each run of rows of one kind: the even one finds the way, the odd one says what becomes of a packet
 * that found none. Within a run the order of rows makes no difference, so its rows share them.
 */
function permitRules(permits: readonly FibPermit[]): Of<'rule'>[] {
  let priority: number = RULE_PRIORITY.policy;
  return permits.flatMap((permit, i) => {
    const before = permits[i - 1];
    if (before !== undefined && kindOf(before) !== kindOf(permit)) priority += 2;
    if (priority > RULE_PRIORITY.last) {
      const changes = (priority - RULE_PRIORITY.policy) / 2 - 1;
      throw new RangeError(`policy rows change their kind more than ${changes} times; put rows of one kind together`);
    }
    const way = rule(priority, permit.use === 'wan' ? MAIN_TABLE : TABLE, selectorsOf(permit));
    const otherwise = withoutWay(permit);
    return otherwise === undefined ? [way] : [way, rule(priority + 1, otherwise, selectorsOf(permit))];
  });
}

/**
 * Rows of one kind have one use and name the same selectors. The latter because a request to delete a rule takes what it
 * does not name for any: under one priority, that for `from a` could hit `from a to b`.
 */
function kindOf(permit: FibPermit): string {
  const named = Object.entries(selectorsOf(permit)).flatMap(([name, value]) => (value === undefined ? [] : name));
  return [permit.use, ...named].join(' ');
}

/** The kernel has no selector of length 0: it selects everything. */
function selectorsOf({ source, destination, interface: name }: FibPermit): Partial<Of<'rule'>> {
  const selective = (prefix: Prefix | undefined) => (prefix?.length === 0 ? undefined : prefix);
  return { source: selective(source), destination: selective(destination), interface: name };
}

/**
 * Where packets of a row go that no tunnel carries; undefined: to the rows behind, and last to the main table. So end
 * those of a row that fails open for all that was announced: a lookup of the main table here would catch the rest too.
 */
function withoutWay({ use, destination }: FibPermit): number | 'blackhole' | undefined {
  switch (use) {
    case 'wan':
      return undefined;
    case 'tunnels-first':
      return destination === undefined ? undefined : MAIN_TABLE;
    case 'tunnels-only':
      return destination === undefined ? CLOSED_TABLE : 'blackhole';
  }
}

function rule(priority: number, table: number | 'blackhole', selectors: Partial<Of<'rule'>>): Of<'rule'> {
  const any = { source: undefined, destination: undefined, interface: undefined, mark: undefined };
  return { ...any, ...selectors, kind: 'rule', priority, table };
}

/** The first of each identity: a peer's own route wins over a learned one to the same prefix. */
function unique(objects: readonly KernelObject[]): KernelObject[] {
  const seen = new Map<string, KernelObject>();
  for (const object of objects) {
    const key = identity(object);
    if (!seen.has(key)) seen.set(key, object);
  }
  return [...seen.values()];
}

const isV4 = (address: IpAddress): boolean => address.family === 4;
const isV4Permit = ({ source, destination }: FibPermit): boolean =>
  isV4(source.address) && (destination === undefined || isV4(destination.address));

/** Alphabetical, but runs of digits by value. */
function compareNames(a: string, b: string): number {
  const [, stemA = '', digitsA = ''] = /^(.*?)(\d*)$/.exec(a) ?? [];
  const [, stemB = '', digitsB = ''] = /^(.*?)(\d*)$/.exec(b) ?? [];
  if (stemA !== stemB) return stemA < stemB ? -1 : 1;
  return Number(digitsA) - Number(digitsB);
}
