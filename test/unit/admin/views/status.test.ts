import { describe, expect, it, vi } from 'vitest';
import { agentViews } from '../../../../src/admin/views/index.ts';
import { statusView } from '../../../../src/admin/views/status.ts';
import type { StatusView, TunnelView } from '../../../../src/admin/wire.ts';
import type { Agent } from '../../../../src/agent/agent.ts';
import { ip } from '../../../../src/lib/ip.ts';
import { BranchWorld } from '../../agent/branch-world.ts';
import { refusal } from '../../agent/fake-addon.ts';
import { branchConfig } from '../../agent/zone-peers.ts';

describe('the status of a healthy branch', () => {
  it('is ok, and shows each layer of each tunnel', async () => {
    const { agent } = await started();
    const status = statusView(agent);
    expect(status).toMatchObject({
      site: 'lyon-01',
      version: '0.1.0',
      health: 'ok',
      started_at: '1970-01-01T00:00:00.000Z',
      registration: { manage: 'manual', state: 'manual', remote_network: 'lyon-01', remote_network_id: null },
      links: [{ name: 'fiber', wan: 'fiber', interface: 'eth0', local_ip: '192.0.2.10', public_ip: '192.0.2.10' }],
    });
    expect(first(status)).toEqual({
      link: 'fiber',
      zone: 1,
      interface: 'tw0',
      endpoint: '198.51.100.20',
      local_endpoint: '192.0.2.10',
      encap: 'udp',
      state: 'established',
      first_broken_layer: null,
      reason: null,
      ike: {
        state: 'established',
        spi_i: expect.stringMatching(/^[0-9a-f]{16}$/),
        spi_r: expect.stringMatching(/^[0-9a-f]{16}$/),
        suite: 'AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384',
        age_s: 5,
        rekey_in_s: expect.any(Number),
        nat: { local: false, remote: false, outside: '192.0.2.10:500', inside_port: 500, port_rewritten: false },
      },
      child: {
        state: 'established',
        spi_in: expect.stringMatching(/^[0-9a-f]{8}$/),
        spi_out: expect.stringMatching(/^[0-9a-f]{8}$/),
        suite: 'AES_GCM_16_256',
        age_s: 5,
        rekey_in_s: expect.any(Number),
        bytes_in: 0,
        bytes_out: 0,
      },
      bgp: [
        {
          peer: '169.254.21.2',
          asn: 65476,
          state: 'established',
          uptime_s: expect.any(Number),
          prefixes_received: 2,
          prefixes_accepted: 2,
        },
      ],
      rtt_ms: null,
      loss: null,
    });
  });

  it('holds no key, whatever is asked for', async () => {
    const { agent } = await started();
    const views = agentViews(agent);
    const everything = [
      views.status(),
      views.ikeHistory({ tunnel: undefined, limit: 1_000 }),
      views.sas(),
      views.neighbors(),
      views.received('169.254.21.2'),
      views.events(0),
    ];
    const keys = agent.paths.flatMap(({ spec, tunnel }) => [
      spec.psk.revealText(),
      ...tunnel.children.flatMap(({ pair }) => [hex(pair.inbound.key.reveal()), hex(pair.outbound.key.reveal())]),
    ]);
    expect(keys).toHaveLength(6);
    for (const key of keys) expect(JSON.stringify(everything)).not.toContain(key);
  });
});

describe('the first broken layer', () => {
  it.each<[string, string, string, (world: BranchWorld) => void]>([
    ['wan', 'failed', 'interface eth0 has no IPv4 address', (world) => world.wans.clear()],
    [
      'ike',
      'failed',
      'CAP_NET_ADMIN is missing',
      (world) => world.addon.failing.set('openTunnel', refusal('EPERM', 'TUNSETIFF')),
    ],
    ['ike', 'connecting', 'no answer from 198.51.100.20', (world) => world.far.silent.add('198.51.100.20')],
    ['bgp-tcp', 'established', 'ECONNREFUSED', (world) => world.deaf.add('169.254.21.2')],
    ['bgp', 'established', 'opensent', (world) => world.mute.add('169.254.21.2')],
    [
      'route',
      'established',
      'The kernel refused',
      (world) => {
        const problem = { code: 'FIB_CHANGE_REFUSED', message: 'The kernel refused to add …' } as const;
        world.kernel.result = { changed: 0, problems: [problem] };
      },
    ],
  ])('is %s when the tunnel is %s: %s', async (layer, state, reason, spoil) => {
    const world = new BranchWorld();
    spoil(world);
    const { agent } = await started(world);
    const tunnel = first(statusView(agent));
    expect(tunnel).toMatchObject({ first_broken_layer: layer, state, reason: expect.stringContaining(reason) });
    expect(JSON.parse(JSON.stringify(tunnel))).toEqual(tunnel); // no undefined: keys are stable
  });

  it('is the lowest one: nothing above it is blamed', async () => {
    const world = new BranchWorld();
    world.far.silent.add('198.51.100.20');
    world.deaf.add('169.254.21.2');
    const { agent } = await started(world);
    expect(first(statusView(agent)).first_broken_layer).toBe('ike');
  });

  it("is IKE with the peer's reason when it refuses our key", async () => {
    const world = new BranchWorld();
    world.secrets.set('/etc/tunwright/psk1', 'a wrong key, long enough to be one');
    const { agent } = await started(world);
    expect(first(statusView(agent))).toMatchObject({
      first_broken_layer: 'ike',
      reason: expect.stringContaining('AUTHENTICATION_FAILED'),
    });
  });

  it('shows where the gateways see us behind a NAT, and no longer when the IKE SA is gone', async () => {
    const world = new BranchWorld();
    world.wans.set('eth0', ip('192.168.1.2'));
    world.far.seenAt = { address: ip('203.0.113.7'), port: 61_234 };
    world.oracle = () => world.far.seenAt;
    const { agent } = await started(world);
    const seen = { local: true, outside: '203.0.113.7:61234', inside_port: 500, port_rewritten: true };
    expect(first(statusView(agent)).ike.nat).toMatchObject(seen);
    expect(statusView(agent).links[0]).toMatchObject({ local_ip: '192.168.1.2', public_ip: '203.0.113.7' });
    world.far.silent.add('198.51.100.20');
    world.far.hangUp('198.51.100.20');
    await world.seconds(2);
    expect(first(statusView(agent)).ike.nat).toMatchObject({ outside: null, inside_port: null, port_rewritten: null });
  });

  it('shows empty values, not missing keys, while nothing is known', async () => {
    const world = new BranchWorld();
    world.wans.clear();
    const { agent } = await started(world);
    expect(first(statusView(agent))).toMatchObject({
      local_endpoint: null,
      ike: {
        state: 'idle',
        spi_i: null,
        suite: null,
        nat: { local: null, remote: null, outside: null, inside_port: null, port_rewritten: null },
      },
      child: { state: 'idle', spi_in: null, bytes_in: 0 },
    });
    expect(statusView(agent).links[0]).toMatchObject({ local_ip: null, public_ip: null });
  });
});

describe('health', () => {
  it.each<[string, string, (world: BranchWorld) => void]>([
    ['down', 'no tunnel gets through', (world) => world.wans.clear()],
    ['down', 'nobody knows the far ends', (world) => world.secrets.clear()],
    ['degraded', 'one of two tunnels gets through', (world) => world.far.silent.add('198.51.100.84')],
    ['degraded', 'a critical alarm is on', (world) => void world.alarms.raise('disk', 'critical', 'full')],
    ['ok', 'only a warning is on', (world) => void world.alarms.raise('clock', 'warning', 'skewed')],
  ])('is %s when %s', async (health, _, spoil) => {
    const world = new BranchWorld();
    spoil(world);
    const { agent } = await started(world);
    expect(statusView(agent).health).toBe(health);
  });

  it('is degraded while one of the two sessions of the only tunnel is established', async () => {
    const world = new BranchWorld();
    world.deaf.add('169.254.22.2');
    const agent = await world.agent(branchConfig((yaml) => yaml.replace('198.51.100.84', '198.51.100.20')));
    await agent.start();
    await world.seconds(5);
    const status = statusView(agent);
    expect(status.links[0]?.tunnels).toMatchObject([
      { first_broken_layer: 'bgp-tcp', bgp: [{ state: 'established' }, { peer: '169.254.22.2' }] },
    ]);
    expect(status.health).toBe('degraded');
  });

  it('is degraded while a link of the configuration has no tunnel at all', async () => {
    const world = new BranchWorld();
    const config = branchConfig();
    const [link] = config.links;
    if (link === undefined) throw new Error('the configuration has no link');
    const agent = await world.agent({ ...config, links: [link, { ...link, name: 'dsl', peers: [] }] });
    await agent.start();
    await world.seconds(5);
    expect(statusView(agent)).toMatchObject({
      health: 'degraded',
      links: [{ name: 'fiber' }, { name: 'dsl', tunnels: [] }],
    });
  });

  it('is degraded while tunnels work from the last known answer and the registration fails', async () => {
    const { agent } = await started();
    vi.spyOn(agent, 'registration', 'get').mockReturnValue({
      state: 'failed',
      detail: 'Graph is away',
      remoteNetworkId: 'rn-1',
    });
    expect(statusView(agent)).toMatchObject({
      health: 'degraded',
      registration: { state: 'failed', detail: 'Graph is away', remote_network_id: 'rn-1' },
    });
  });
});

async function started(world = new BranchWorld()): Promise<{ world: BranchWorld; agent: Agent }> {
  const agent = await world.agent();
  await agent.start();
  await world.seconds(5);
  return { world, agent };
}

function first(status: StatusView): TunnelView {
  const tunnel = status.links[0]?.tunnels[0];
  if (tunnel === undefined) throw new Error('the status shows no tunnel');
  return tunnel;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
