import type { IpAddress } from '../lib/ip.ts';
import type { Result } from '../lib/result.ts';

/** JSON of the admin API, design: keys snake_case and stable, times RFC 3339, base units. Shared with the CLI. */

export type Health = 'ok' | 'degraded' | 'down';
export type BrokenLayer = 'wan' | 'ike' | 'child' | 'route' | 'bgp-tcp' | 'bgp' | 'probe';

export interface StatusView {
  site: string;
  version: string;
  health: Health;
  started_at: string;
  registration: RegistrationView;
  links: LinkView[];
  alarms: AlarmView[];
}

export interface RegistrationView {
  manage: 'create' | 'adopt' | 'read-only' | 'manual';
  state: 'manual' | 'pending' | 'registered' | 'failed';
  /** Step in progress, or the error as one sentence with its remedy. */
  detail: string;
  remote_network: string;
  remote_network_id: string | null;
  connector: string | null;
}

export interface LinkView {
  name: string;
  wan: string;
  interface: string;
  local_ip: string | null;
  public_ip: string | null;
  tunnels: TunnelView[];
}

export interface TunnelView {
  link: string;
  zone: number;
  interface: string;
  endpoint: string;
  local_endpoint: string | null;
  encap: 'udp' | 'esp';
  state: 'idle' | 'connecting' | 'established' | 'backoff' | 'stopped' | 'failed';
  first_broken_layer: BrokenLayer | null;
  /** Why `first_broken_layer` is broken, in one sentence; null when nothing is. */
  reason: string | null;
  ike: {
    state: string;
    spi_i: string | null;
    spi_r: string | null;
    suite: string | null;
    age_s: number | null;
    rekey_in_s: number | null;
    nat: NatView;
  };
  child: {
    state: 'established' | 'idle';
    spi_in: string | null;
    spi_out: string | null;
    suite: string | null;
    age_s: number | null;
    rekey_in_s: number | null;
    bytes_in: number;
    bytes_out: number;
  };
  bgp: {
    peer: string;
    asn: number;
    state: string;
    uptime_s: number | null;
    prefixes_received: number;
    prefixes_accepted: number;
  }[];
  rtt_ms: number | null;
  loss: number | null;
}

export interface NatView {
  /** Is this end behind a NAT? */
  local: boolean | null;
  remote: boolean | null;
  /** Where the gateway saw our IKE_SA_INIT come from, such as `203.0.113.7:61234`; null when it could not be found out. */
  outside: string | null;
  /** The port that we had sent it from: 500, or 4500 where 500 does not get through. ESP has a mapping of its own. */
  inside_port: number | null;
  /** Did a NAT change that port? */
  port_rewritten: boolean | null;
}

export interface AlarmView {
  code: string;
  severity: 'warning' | 'critical';
  message: string;
  since: string;
}

export interface IkeHistoryView {
  time: string;
  tunnel: string;
  exchange: string;
  direction: 'out' | 'in';
  message_id: number;
  result: 'ok' | 'failed' | 'timeout' | 'retry';
  reason: string;
  spi_i: string;
  spi_r: string;
  proposal: string;
  peer: string;
  duration_ms: number;
  /** All proposals of our message, or what we would have accepted; `+` between alternatives; null where none was at stake. */
  proposal_local: string | null;
  /** All proposals of the peer's message; a peer that refuses ours does not say what it wants. */
  proposal_peer: string | null;
  /** By their names in IANA's registry. */
  notify: { sent: string[]; received: string[] };
  /** Who is behind a NAT, as this IKE_SA_INIT found; null for other exchanges. */
  nat: { local: boolean; remote: boolean } | null;
}

export interface SaView {
  tunnel: string;
  interface: string;
  spi_in: string;
  spi_out: string;
  suite: string;
  esn: boolean;
  replay_window: number;
  age_s: number;
  rekey_in_s: number;
  /** What may pass in either direction before the rekey; null without such a limit. 32-bit sequence numbers are packets. */
  rekey_in_bytes: number | null;
  rekey_in_packets: number | null;
  bytes: { in: number; out: number };
  packets: { in: number; out: number };
  /** The highest numbers; of those that come in, how many have not come so far, and how many came after a higher one. */
  sequence: { in: number; out: number; missing: number; reordered: number };
  drops: Record<string, number>;
  encap: 'udp' | 'esp';
  mtu: number;
}

export interface NeighborView {
  peer: string;
  tunnel: string;
  interface: string;
  asn: number;
  local_ip: string;
  local_asn: number;
  state: string;
  uptime_s: number | null;
  timers: { hold_s: number | null; keepalive_s: number | null; configured_hold_s: number };
  capabilities: string[];
  counters: {
    messages_in: number;
    messages_out: number;
    updates_in: number;
    updates_out: number;
    malformed_updates: number;
    sessions_established: number;
  };
  prefixes: { received: number; accepted: number; advertised: number };
  last_error: string | null;
}

export interface ReceivedPrefixView {
  prefix: string;
  next_hop: string;
  as_path: string;
  origin: string;
  med: number | null;
  local_pref: number | null;
  communities: string[];
  /** Eight octets each, as hex digits. */
  extended_communities: string[];
  /** RFC 9234: the AS of the ONLY_TO_CUSTOMER attribute. */
  only_to_customer: number | null;
  large_communities: string[];
  accepted: boolean;
  reject_reason: string | null;
  age_s: number;
}

/** A network of ours as a neighbour was told of it. */
export interface AdvertisedPrefixView {
  prefix: string;
  next_hop: string;
  as_path: string;
  origin: string;
  med: number | null;
  communities: string[];
  large_communities: string[];
}

/** A prefix that at least one neighbour offers, and what came of it. */
export interface RouteView {
  prefix: string;
  /** Best first, then those that are used beside it, then those that lost. */
  paths: {
    peer: string;
    tunnel: string;
    interface: string;
    as_path_length: number;
    origin: string;
    med: number;
    local_pref: number;
    used: boolean;
    /** Why it lost; null when it is used. */
    reason: string | null;
  }[];
  /** What the kernel should use now, `blackhole` where nothing may reach the WAN; empty when no tunnel is up. */
  via: string[];
}

export interface RoutesView {
  /** Routes in the kernel's table: how many there should be, are, and were refused. */
  fib: { desired: number; installed: number; failed: number };
  routes: RouteView[];
}

/** `id` grows by one; also the SSE event id. */
export interface EventView {
  id: number;
  time: string;
  kind: string;
  tunnel: string | null;
  message: string;
}

/** Every refusal: what was expected, what came, what to do. */
export interface ErrorView {
  error: { code: string; message: string };
}

/** What is recorded: the last `packets` of each packet thread, `snap` octets of each. */
export interface CaptureRequest {
  /** Undefined: the only one. */
  readonly tunnel: string | undefined;
  readonly side: 'inner' | 'outer';
  readonly seconds: number;
  readonly packets: number;
  readonly snap: number;
}

/** Why something cannot be had now. */
export interface Refusal {
  readonly status: 404 | 409;
  readonly code: 'not-found' | 'conflict';
  readonly message: string;
}

/** What the daemon offers to the admin server; `agent` implements it. */
export interface AgentViews {
  status(): StatusView;
  ikeHistory(filter: { tunnel: string | undefined; limit: number }): IkeHistoryView[];
  sas(): SaView[];
  neighbors(): NeighborView[];
  /** Undefined: no such neighbour. */
  received(peer: string): ReceivedPrefixView[] | undefined;
  /** Undefined: no such neighbour. */
  advertised(peer: string): AdvertisedPrefixView[] | undefined;
  /** All learned routes, or the one that packets to `destination` take. */
  routes(destination?: IpAddress): RoutesView;
  /** What the peers have announced, as an MRT file (RFC 6396, TABLE_DUMP_V2), piece by piece. */
  mrt(): Iterable<Uint8Array>;
  /** Packets as they pass from now on, as a pcapng file that comes when the time is over. */
  capture(request: CaptureRequest): Result<AsyncIterable<Uint8Array>, Refusal>;
  events(afterId: number): EventView[];
  /** Calls back for each new event until the returned function is called. */
  subscribe(listener: (event: EventView) => void): () => void;
}
