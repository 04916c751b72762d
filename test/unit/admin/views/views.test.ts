import { beforeAll, describe, expect, it } from 'vitest';
import { agentViews } from '../../../../src/admin/views/index.ts';
import type { AgentViews } from '../../../../src/admin/wire.ts';
import { SA_COUNTERS, TUNNEL_COUNTERS } from '../../../../src/io/native.ts';
import { ip } from '../../../../src/lib/ip.ts';
import { BranchWorld } from '../../agent/branch-world.ts';

const world = new BranchWorld();
let views: AgentViews;

beforeAll(async () => {
  world.announced.set('169.254.21.2', ['10.1.20.0/24', '52.96.0.0/14']);
  const agent = await world.agent();
  await agent.start();
  await world.seconds(65);
  views = agentViews(agent);
});

describe('received prefixes', () => {
  it('are all shown, with the reason of a refusal', () => {
    const rows = views.received('169.254.21.2') ?? [];
    expect(rows).toMatchObject([
      { prefix: '10.1.20.0/24', accepted: false, reject_reason: expect.stringContaining('the LAN network staff') },
      {
        prefix: '52.96.0.0/14',
        next_hop: '169.254.21.2',
        as_path: '65476',
        origin: 'igp',
        med: null,
        local_pref: null,
        communities: [],
        large_communities: [],
        accepted: true,
        reject_reason: null,
        age_s: expect.any(Number),
      },
    ]);
    expect(rows[0]?.age_s).toBeGreaterThan(50);
  });

  it('are those of a known neighbour only', () => {
    expect(views.received('192.0.2.1')).toBeUndefined();
  });
});

describe('advertised prefixes', () => {
  it('are our networks, to a known neighbour', () => {
    expect(views.advertised('169.254.21.2')).toEqual([
      {
        prefix: '10.1.20.0/24',
        next_hop: '169.254.21.1',
        as_path: '65010',
        origin: 'igp',
        med: null,
        communities: [],
        large_communities: [],
      },
    ]);
    expect(views.advertised('192.0.2.1')).toBeUndefined();
  });
});

describe('routes', () => {
  it('show all paths and where they lead, and what the kernel holds', () => {
    const { fib, routes } = views.routes();
    expect(fib).toEqual({ desired: expect.any(Number), installed: fib.desired, failed: 0 });
    expect(routes).toMatchObject([
      {
        prefix: '52.96.0.0/14',
        paths: [
          { peer: '169.254.21.2', tunnel: 'fiber/1', interface: 'tw0', used: true, reason: null },
          { peer: '169.254.22.2', tunnel: 'fiber/2', interface: 'tw1', used: true, reason: null },
        ],
        via: ['tw0', 'tw1'],
      },
    ]);
  });

  it('find the longest prefix that holds an address', () => {
    expect(views.routes(ip('52.97.1.2')).routes.map((route) => route.prefix)).toEqual(['52.96.0.0/14']);
    expect(views.routes(ip('192.0.2.1')).routes).toEqual([]);
  });
});

describe('neighbours', () => {
  it('show the session, its negotiated timers and what goes over it', () => {
    expect(views.neighbors()[0]).toMatchObject({
      peer: '169.254.21.2',
      tunnel: 'fiber/1',
      interface: 'tw0',
      asn: 65476,
      local_ip: '169.254.21.1',
      local_asn: 65010,
      state: 'established',
      timers: { hold_s: 180, keepalive_s: 60, configured_hold_s: 180 },
      prefixes: { received: 2, accepted: 1, advertised: 1 },
      last_error: null,
    });
  });
});

describe('SAs', () => {
  it('show live counters, and drops by reason', () => {
    const [tunnel] = world.addon.tunnels;
    const inbound = tunnel?.inboundCounters.at(-1);
    if (tunnel === undefined || inbound === undefined) throw new Error('no SA was installed');
    inbound[SA_COUNTERS.indexOf('bytes')] = 1_234_567_890_123n;
    inbound[SA_COUNTERS.indexOf('drop_replay')] = 3n;
    inbound[SA_COUNTERS.indexOf('sequence')] = 900n;
    inbound[SA_COUNTERS.indexOf('missing')] = 7n;
    inbound[SA_COUNTERS.indexOf('reordered')] = 2n;
    const outbound = tunnel.outboundCounters.at(-1);
    if (outbound === undefined) throw new Error('no SA was installed');
    outbound[SA_COUNTERS.indexOf('drop_too_big')] = 4n;
    tunnel.counters[TUNNEL_COUNTERS.indexOf('tx_drop_no_sa')] = 2n;
    expect(views.sas()[0]).toMatchObject({
      tunnel: 'fiber/1',
      suite: 'AES_GCM_16_256',
      replay_window: 4096,
      encap: 'udp',
      mtu: expect.any(Number),
      age_s: expect.any(Number),
      bytes: { in: 1_234_567_890_123, out: 0 },
      sequence: { in: 900, out: 0, missing: 7, reordered: 2 },
      drops: { replay: 3, auth: 0, malformed: 0, policy: 0, too_big: 4, queue: 0, tx_no_sa: 2, rx_auth: 0 },
    });
  });
});

describe('the IKE history', () => {
  it('is told newest first, in snake_case with RFC 3339 times', () => {
    const rows = views.ikeHistory({ tunnel: 'fiber/2', limit: 100 });
    expect(rows.at(-1)).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      tunnel: 'fiber/2',
      exchange: 'IKE_SA_INIT',
      direction: 'out',
      message_id: 0,
      result: 'ok',
      reason: '',
      spi_i: expect.stringMatching(/^[0-9a-f]{16}$/),
      spi_r: expect.not.stringMatching(/^0+$/),
      proposal: 'AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384',
      peer: '198.51.100.84',
      duration_ms: 0,
      proposal_local: 'AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384',
      proposal_peer: 'AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384',
      notify: {
        sent: expect.arrayContaining(['NAT_DETECTION_SOURCE_IP', 'NAT_DETECTION_DESTINATION_IP']),
        received: expect.arrayContaining(['NAT_DETECTION_SOURCE_IP', 'NAT_DETECTION_DESTINATION_IP']),
      },
      nat: { local: false, remote: false },
    });
  });
});

describe('events', () => {
  it('reach a subscriber as they happen, and no longer', () => {
    const heard: string[] = [];
    const end = views.subscribe((event) => heard.push(`${event.id} ${event.kind} ${event.tunnel}`));
    world.log.add('info', 'test', 'something', 'fiber/1');
    end();
    world.log.add('info', 'test', 'more');
    const [last, newest] = views.events(0).slice(-2);
    expect(heard).toEqual([`${last?.id} test fiber/1`]);
    expect(newest).toMatchObject({ kind: 'test', tunnel: null, message: 'more', time: '1970-01-01T00:01:05.000Z' });
  });
});
