import { describe, expect, it } from 'vitest';
import type { SaView, StatusView, TunnelView } from '../../../src/admin/wire.ts';
import { summarise } from '../../../src/lab/ping/statistics.ts';
import {
  describeTunnels,
  type Evidence,
  type Expected,
  judge,
  parseRoutes,
  traffic,
  whyNotHealthy,
  whyNotRouted,
} from '../../../src/lab/verdict.ts';

const EXPECTED: Expected = {
  interfaces: ['tw0', 'tw1'],
  prefixes: ['13.107.6.152/31', '52.238.78.88/32'],
  probe: '198.18.1.101',
};

describe('verdict', () => {
  it('is 0 when everything held', () => {
    expect(judge(evidence(), EXPECTED)).toEqual({ exitCode: 0, failures: [] });
  });

  it('is 7 and names the tunnel when one carried nothing', () => {
    const sasAfter = [sa('tw0', 10), sa('tw1', 0)];
    const verdict = judge(evidence({ sasAfter }), EXPECTED);
    expect(verdict).toEqual({ exitCode: 7, failures: ['tw1 carried 0 packets out, 0 in: expected both'] });
  });

  it('is 7 and names the route that has one path only', () => {
    const ecmp = evidence().ecmp.map((route) =>
      route.prefix === '52.238.78.88/32' ? { ...route, devices: ['tw1'] } : route,
    );
    const { exitCode, failures } = judge(evidence({ ecmp }), EXPECTED);
    expect(exitCode).toBe(7);
    expect(failures).toEqual(['52.238.78.88/32 is routed to tw1, expected tw0, tw1']);
  });

  it('is 7 and says which pings were lost', () => {
    const bound = [summarise({ ...PING, device: 'tw1', sent: 5 }, [1, 1])];
    const { exitCode, failures } = judge(evidence({ bound }), EXPECTED);
    expect(exitCode).toBe(7);
    expect(failures).toEqual(['3 of 5 pings from 10.1.20.11 to 198.18.1.101 through tw1 were lost']);
  });

  it('is 8 when no ping came back at all', () => {
    const lost = [summarise(PING, [])];
    expect(judge(evidence({ client: lost, bound: lost }), EXPECTED).exitCode).toBe(8);
  });

  it('is 8 when the daemon says so', () => {
    expect(judge(evidence({ status: status({ health: 'down' }) }), EXPECTED).exitCode).toBe(8);
  });
});

describe('what the lab waits for', () => {
  it('is a registered branch with every prefix on every tunnel', () => {
    expect(whyNotHealthy(status({}), EXPECTED)).toBeUndefined();
  });

  it.each([
    [{ registration: { ...status({}).registration, state: 'failed' as const, detail: 'no role' } }, 'no role'],
    [{ links: [] }, 'there is no tunnel tw0'],
    [tunnels({ ike: { ...tunnel('tw0').ike, state: 'backoff' }, reason: 'wrong PSK' }), 'wrong PSK'],
    [tunnels({ bgp: [{ ...SESSION, state: 'active' }] }), 'BGP is active'],
    [tunnels({ bgp: [] }), 'BGP is absent'],
    [tunnels({ bgp: [{ ...SESSION, prefixes_accepted: 1 }] }), '2 prefixes received and 1 accepted, expected 2'],
    [{ health: 'degraded' as const }, 'health is degraded'],
  ])('tells what is missing (%#)', (change, reason) => {
    expect(whyNotHealthy(status(change), EXPECTED)).toContain(reason);
  });
});

it('waits for both paths of every prefix', () => {
  expect(whyNotRouted(evidence().ecmp, EXPECTED)).toBeUndefined();
  expect(whyNotRouted([{ prefix: '13.107.6.152/31', devices: ['tw0'] }], EXPECTED)).toBe(
    '13.107.6.152/31 is routed to tw0, expected tw0, tw1',
  );
});

it('describes tunnels in one line', () => {
  const described = describeTunnels(status(tunnels({ bgp: [] })), EXPECTED);
  expect(described).toBe('tw0 IKE and BGP not up, prefixes 0/2; tw1 IKE and BGP up, prefixes 2/2');
});

it('adds up all SAs of a tunnel', () => {
  const [tw0] = traffic([sa('tw0', 5)], [sa('tw0', 7), sa('tw0', 4)], ['tw0']);
  expect(tw0).toEqual({ interface: 'tw0', packetsOut: 6, packetsIn: 6 });
});

it('reads routes with one path, with several, and host routes without a length', () => {
  const shown = [
    {
      dst: '13.107.6.152/31',
      nhid: 77103,
      nexthops: [
        { dev: 'tw0', weight: 1 },
        { dev: 'tw1', weight: 1 },
      ],
    },
    { dst: '169.254.21.2', dev: 'tw0' },
  ];
  expect(parseRoutes(JSON.stringify(shown))).toEqual([
    { prefix: '13.107.6.152/31', devices: ['tw0', 'tw1'] },
    { prefix: '169.254.21.2/32', devices: ['tw0'] },
  ]);
});

const PING = { from: '10.1.20.11', to: '198.18.1.101', device: undefined, sent: 1 };
const SESSION = {
  peer: '169.254.21.2',
  asn: 65476,
  state: 'established',
  uptime_s: 1,
  prefixes_received: 2,
  prefixes_accepted: 2,
};

function evidence(change: Partial<Evidence> = {}): Evidence {
  return {
    status: status({}),
    ecmp: [...EXPECTED.prefixes, '198.18.1.101/32'].map((prefix) => ({ prefix, devices: ['tw1', 'tw0'] })),
    sasBefore: [sa('tw0', 0), sa('tw1', 0)],
    sasAfter: [sa('tw0', 10), sa('tw1', 12)],
    client: [summarise(PING, [1])],
    bound: [summarise({ ...PING, device: 'tw0' }, [1])],
    ...change,
  };
}

const NAT = { local: true, remote: false, outside: '203.0.113.10:61234', inside_port: 500, port_rewritten: true };

function status(change: Partial<StatusView>): StatusView {
  const link = { name: 'fiber', wan: 'fiber', interface: 'wan0', local_ip: '192.168.1.2', public_ip: '203.0.113.10' };
  return {
    site: 'lab-01',
    version: '0',
    health: 'ok',
    started_at: '2026-01-01T00:00:00.000Z',
    registration: {
      manage: 'create',
      state: 'registered',
      detail: '',
      remote_network: 'lab-01',
      remote_network_id: 'id',
      connector: 'contoso',
    },
    links: [{ ...link, tunnels: [tunnel('tw0'), tunnel('tw1')] }],
    alarms: [],
    ...change,
  };
}

/** The status with a change to its first tunnel. */
function tunnels(change: Partial<TunnelView>): Partial<StatusView> {
  const [link] = status({}).links;
  return { links: link === undefined ? [] : [{ ...link, tunnels: [{ ...tunnel('tw0'), ...change }, tunnel('tw1')] }] };
}

function tunnel(name: string): TunnelView {
  const sa = { state: 'established' as const, suite: 'suite', age_s: 1, rekey_in_s: 1 };
  return {
    link: 'fiber',
    zone: 1,
    interface: name,
    endpoint: '198.51.100.20',
    local_endpoint: null,
    encap: 'udp',
    state: 'established',
    first_broken_layer: null,
    reason: null,
    ike: { ...sa, spi_i: '1', spi_r: '2', nat: NAT },
    child: { ...sa, spi_in: '3', spi_out: '4', bytes_in: 0, bytes_out: 0 },
    bgp: [SESSION],
    rtt_ms: null,
    loss: null,
  };
}

function sa(name: string, packets: number): SaView {
  return {
    tunnel: name,
    interface: name,
    spi_in: '3',
    spi_out: '4',
    suite: 'suite',
    esn: false,
    replay_window: 64,
    age_s: 1,
    rekey_in_s: 1,
    rekey_in_bytes: null,
    rekey_in_packets: null,
    bytes: { in: 0, out: 0 },
    packets: { in: packets, out: packets },
    sequence: { in: 12, out: 12, missing: 0, reordered: 0 },
    drops: {},
    encap: 'udp',
    mtu: 1380,
  };
}
