import type { IpAddress, Prefix, PrefixKey } from '../lib/ip.ts';

/** Kernel state that belongs to us: tables 7700 and 7701, protocol 77, rule priorities 7700–7799, nexthop ids 76800–77999. */
export const TABLE = 7700;
/** Blackholes only: where the packets of fail-closed networks end that no tunnel carries. */
export const CLOSED_TABLE = 7701;
/** RT_TABLE_MAIN: for traffic that our table must not see. */
export const MAIN_TABLE = 254;
export const PROTOCOL = 77;
export const MARK = 0x7700;
export const MARK_MASK = 0xff00;
export const RULE_PRIORITY = { mark: 7700, bgpLocal: 7701, bgpPeer: 7702, policy: 7720, last: 7799 } as const;
/**
 * A tunnel has two nexthops. Its own (`own` and its place) is the way to the BGP speakers behind it; the one for learned
 * routes (`learned` and its place) can go without it, when the session that taught them does. A tunnel that is alone in a
 * group has a third one there (`standIn`). Prefixes that go through all tunnels have the group `everywhere`, path sets those
 * from `group` on.
 */
export const NEXTHOP_ID = {
  first: 76_800,
  standIn: 76_800,
  own: 76_900,
  everywhere: 76_999,
  learned: 77_000,
  group: 77_100,
  last: 77_999,
} as const;

/** One tunnel as the FIB sees it. */
export interface FibTunnel {
  /** `tw0`… */
  readonly interface: string;
  readonly interfaceIndex: number;
  /** Its part of the flows that it shares with others, 1–255. */
  readonly weight: number;
  /** Carries traffic: its SA is up. A tunnel that is not up has no nexthop. */
  readonly up: boolean;
  /** What a BGP speaker behind it has announced may use it. */
  readonly learns: boolean;
  /** Its speaker is only telling again what it leads to: it carries what no other tunnel does. */
  readonly returning: boolean;
  /** /32 of Microsoft's BGP speakers behind this tunnel. */
  readonly bgpPeers: readonly IpAddress[];
}

/**
 * One policy row for LAN traffic, in order, first match wins. What no row names never sees our tables.
 *
 * - `tunnels-only`: the learned routes; what was announced but no tunnel carries now is dropped (fails closed).
 * - `tunnels-first`: the learned routes, else the main table (fails open).
 * - `wan`: direct internet access, the main table.
 */
export interface FibPermit {
  readonly source: Prefix;
  /** Arriving on this LAN interface only. */
  readonly interface: string | undefined;
  /** Undefined: any destination; with tunnels, any that was announced. */
  readonly destination: Prefix | undefined;
  readonly use: 'tunnels-only' | 'tunnels-first' | 'wan';
}

/** How a group spreads flows: each hashes into one of so many buckets, and a bucket in use stays with its tunnel. */
export interface Resilience {
  /** 1–65,535. */
  readonly buckets: number;
  /** A bucket may move to a tunnel that has too few when nothing has used it for so long. */
  readonly idleMs: number;
  /** Buckets move even in use after so long of imbalance; 0: never. */
  readonly rebalanceMs: number;
}

export interface GroupMember {
  readonly id: number;
  /** Its part of the flows, 1–65,536; above 256 since Linux 6.12. */
  readonly weight: number;
}

/** What depends on the age of the kernel. */
export interface KernelAbilities {
  /** Linux 5.13. */
  readonly resilientGroups: boolean;
  /** Of 16 bits instead of eight; Linux 6.12. */
  readonly wideWeights: boolean;
}

/** What the kernel should hold of ours beside the learned routes. */
export interface FibBase {
  readonly bgpLocalAddresses: readonly { readonly address: IpAddress; readonly interface: string }[];
  readonly tunnels: readonly FibTunnel[];
  /** Lead through every tunnel whatever BGP says. */
  readonly statics: readonly Prefix[];
  readonly permits: readonly FibPermit[];
  /** Undefined: groups spread by hash alone, and a tunnel that returns takes its share of the live flows at once. */
  readonly resilience: Resilience | undefined;
}

/** Where a route leads. */
export interface Target {
  /** Id of a nexthop or group. `blackhole` needs no nexthop and no device: it drops, and stays when they go. */
  readonly nexthop: number | 'blackhole';
  /** Preferred source of our own packets. */
  readonly source: IpAddress | undefined;
}

export type KernelObject =
  | { readonly kind: 'address'; readonly address: IpAddress; readonly interfaceIndex: number }
  | { readonly kind: 'nexthop'; readonly id: number; readonly interfaceIndex: number }
  | {
      readonly kind: 'nexthop-group';
      readonly id: number;
      readonly members: readonly GroupMember[];
      readonly resilience: Resilience | undefined;
    }
  | (Target & { readonly kind: 'route'; readonly to: PrefixKey; readonly table: number })
  | {
      readonly kind: 'rule';
      readonly priority: number;
      /** To look up; `blackhole` drops what the rule selects. */
      readonly table: number | 'blackhole';
      readonly source: Prefix | undefined;
      readonly destination: Prefix | undefined;
      readonly interface: string | undefined;
      readonly mark: { readonly value: number; readonly mask: number } | undefined;
    };

export type KernelChange = { readonly op: 'add' | 'replace' | 'delete'; readonly object: KernelObject };

export type Of<Kind extends KernelObject['kind']> = Extract<KernelObject, { kind: Kind }>;
export type KernelRoute = Of<'route'>;
/** Few, whatever the number of routes. */
export type FixedObject = Exclude<KernelObject, { kind: 'route' }>;
