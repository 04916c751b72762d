import { Readable } from 'node:stream';
import type {
  AdvertisedPrefixView,
  AgentViews,
  CaptureRequest,
  EventView,
  Health,
  NeighborView,
  ReceivedPrefixView,
  Refusal,
  RoutesView,
  StatusView,
} from '../../../src/admin/wire.ts';
import { formatIp, type IpAddress } from '../../../src/lib/ip.ts';
import { err, ok, type Result } from '../../../src/lib/result.ts';

export function statusOf(health: Health): StatusView {
  return {
    site: 'lyon-01',
    version: '0.1.0',
    health,
    started_at: '2026-11-22T08:00:00.000Z',
    registration: {
      manage: 'create',
      state: 'registered',
      detail: 'registered',
      remote_network: 'lyon-01',
      remote_network_id: 'c0ffee',
      connector: 'contoso',
    },
    links: [],
    alarms: [],
  };
}

export const NEIGHBOR: NeighborView = {
  peer: '169.254.21.2',
  tunnel: 'fiber/1',
  interface: 'tw0',
  asn: 65476,
  local_ip: '169.254.21.1',
  local_asn: 65010,
  state: 'established',
  uptime_s: 272_000,
  timers: { hold_s: 180, keepalive_s: 60, configured_hold_s: 180 },
  capabilities: ['ipv4-unicast', 'route-refresh', '4-octet-asn'],
  counters: {
    messages_in: 4_600,
    messages_out: 4_590,
    updates_in: 3,
    updates_out: 1,
    malformed_updates: 0,
    sessions_established: 1,
  },
  prefixes: { received: 25, accepted: 25, advertised: 1 },
  last_error: null,
};

export const PREFIX: ReceivedPrefixView = {
  prefix: '13.107.6.152/31',
  next_hop: '169.254.21.2',
  as_path: '65476',
  origin: 'igp',
  med: null,
  local_pref: null,
  communities: [],
  extended_communities: [],
  only_to_customer: null,
  large_communities: [],
  accepted: true,
  reject_reason: null,
  age_s: 272_000,
};

export const ADVERTISED: AdvertisedPrefixView = {
  prefix: '10.1.20.0/24',
  next_hop: '169.254.21.1',
  as_path: '65010',
  origin: 'igp',
  med: null,
  communities: [],
  large_communities: [],
};

const path = { as_path_length: 1, origin: 'igp', med: 0, local_pref: 100 };

export const ROUTES: RoutesView = {
  fib: { desired: 27, installed: 27, failed: 0 },
  routes: [
    {
      prefix: '13.107.6.152/31',
      paths: [
        { ...path, peer: '169.254.21.2', tunnel: 'fiber/1', interface: 'tw0', used: true, reason: null },
        {
          ...path,
          peer: '169.254.22.2',
          tunnel: 'fiber/2',
          interface: 'tw1',
          used: false,
          as_path_length: 2,
          reason: 'AS path of 2 is longer than 1',
        },
      ],
      via: ['tw0'],
    },
  ],
};

export const event = (id: number, message = `event ${id}`): EventView => ({
  id,
  time: '2026-11-22T08:00:00.000Z',
  kind: 'tunnel-up',
  tunnel: 'fiber/1',
  message,
});

/** An agent as the admin server sees it; the test sets what it answers and emits events. */
export class FakeViews implements AgentViews {
  health: Health = 'ok';
  /** Of the MRT file. */
  pieces: () => Iterable<Uint8Array> = () => [Uint8Array.of(1, 2), Uint8Array.of(3)];
  readonly log: EventView[] = [];
  readonly listeners = new Set<(event: EventView) => void>();
  captureRequest: CaptureRequest | undefined;
  historyFilter: { tunnel: string | undefined; limit: number } | undefined;

  emit(next: EventView): void {
    this.log.push(next);
    for (const listener of this.listeners) listener(next);
  }

  status(): StatusView {
    return statusOf(this.health);
  }
  ikeHistory(filter: { tunnel: string | undefined; limit: number }): [] {
    this.historyFilter = filter;
    return [];
  }
  sas(): [] {
    return [];
  }
  neighbors(): NeighborView[] {
    return [NEIGHBOR];
  }
  received(peer: string): ReceivedPrefixView[] | undefined {
    return peer === NEIGHBOR.peer ? [PREFIX] : undefined;
  }
  advertised(peer: string): AdvertisedPrefixView[] | undefined {
    return peer === NEIGHBOR.peer ? [ADVERTISED] : undefined;
  }
  routes(destination?: IpAddress): RoutesView {
    const { routes, fib } = ROUTES;
    const known = destination === undefined || formatIp(destination) === '13.107.6.152';
    return { fib, routes: known ? routes : [] };
  }
  capture(request: CaptureRequest): Result<AsyncIterable<Uint8Array>, Refusal> {
    this.captureRequest = request;
    const { tunnel } = request;
    if (tunnel === 'fiber/9') return err({ status: 404, code: 'not-found', message: 'there is no tunnel fiber/9' });
    if (tunnel === 'fiber/2')
      return err({ status: 409, code: 'conflict', message: 'tunnel fiber/2 has no device now' });
    return ok(Readable.from(this.pieces()));
  }
  mrt(): Iterable<Uint8Array> {
    return this.pieces();
  }
  events(afterId: number): EventView[] {
    return this.log.filter((each) => each.id > afterId);
  }
  subscribe(listener: (event: EventView) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
