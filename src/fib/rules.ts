import { hostPrefix, type IpAddress, type Prefix } from '../lib/ip.ts';
import type { FibBase, FibPermit, Of } from './types.ts';
import { CLOSED_TABLE, MAIN_TABLE, MARK, MARK_MASK, RULE_PRIORITY, TABLE } from './types.ts';

/** The policy rules: own packets and BGP first, then the rows for LAN traffic. */
export function rules(base: FibBase): Of<'rule'>[] {
  const mark = { value: MARK, mask: MARK_MASK };
  const locals = base.bgpLocalAddresses.map(({ address }) => address).filter(isV4);
  const peers = base.tunnels.flatMap((tunnel) => tunnel.bgpPeers).filter(isV4);
  return [
    rule(RULE_PRIORITY.mark, MAIN_TABLE, { mark }),
    ...locals.map((address) => rule(RULE_PRIORITY.bgpLocal, TABLE, { source: hostPrefix(address) })),
    ...peers.map((address) => rule(RULE_PRIORITY.bgpPeer, TABLE, { destination: hostPrefix(address) })),
    ...permitRules(base.permits.filter(isV4Permit)),
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

const isV4 = (address: IpAddress): boolean => address.family === 4;
const isV4Permit = ({ source, destination }: FibPermit): boolean =>
  isV4(source.address) && (destination === undefined || isV4(destination.address));
