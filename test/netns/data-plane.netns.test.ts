import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { keepQuiet } from './namespaces.ts';
import { RunningProcess, run } from './process.ts';
import { ROOT } from './repository.ts';
import { ping } from './traffic.ts';
import { type StaticSa, TunnelEnd } from './tunnel-end.ts';

/*
 *   hub 192.0.2.1 (lo)                  left 198.51.100.1
 *     tw0 10.0.0.1 ═══ left ─────────── hub ═══ tw0 10.0.0.2
 *     tw1 10.0.1.1 ═══ right ────────── hub ═══ tw0 10.0.1.2
 *                                       right 198.51.100.2
 *
 * The hub's two tunnels share its address and UDP ports 500 and 4500; left and right are responders. Keys are static: no IKE.
 */
const MTU = 1400;
const prefix = `tw${process.pid}z`;
const HUB = `${prefix}-hub`;
const LEFT = `${prefix}-left`;
const RIGHT = `${prefix}-right`;

const sa = (spi: number): StaticSa => ({ spi, key: `${spi.toString(16)}ab`.padStart(64, '0'), salt: '01020304' });

describe('two native tunnels from one address', () => {
  let hubToLeft: TunnelEnd;
  let hubToRight: TunnelEnd;
  let left: TunnelEnd;
  let right: TunnelEnd;

  beforeAll(async () => {
    await buildNamespaces();
    const hub = { local: '192.0.2.1', mtu: MTU, responder: false };
    const responder = { remote: '192.0.2.1', mtu: MTU, interface: 'tw0', responder: true };
    [hubToLeft, hubToRight, left, right] = await Promise.all([
      TunnelEnd.start(HUB, {
        ...hub,
        interface: 'tw0',
        remote: '198.51.100.1',
        inbound: sa(0x1001),
        outbound: sa(0x1002),
      }),
      TunnelEnd.start(HUB, {
        ...hub,
        interface: 'tw1',
        remote: '198.51.100.2',
        inbound: sa(0x2001),
        outbound: sa(0x2002),
      }),
      TunnelEnd.start(LEFT, { ...responder, local: '198.51.100.1', inbound: sa(0x1002), outbound: sa(0x1001) }),
      TunnelEnd.start(RIGHT, { ...responder, local: '198.51.100.2', inbound: sa(0x2002), outbound: sa(0x2001) }),
    ]);
    await ip(HUB, 'addr add 10.0.0.1/24 dev tw0');
    await ip(HUB, 'addr add 10.0.1.1/24 dev tw1');
    await ip(LEFT, 'addr add 10.0.0.2/24 dev tw0');
    await ip(RIGHT, 'addr add 10.0.1.2/24 dev tw0');
    await ip(HUB, 'addr add fd00::1/64 dev tw0 nodad');
    await ip(LEFT, 'addr add fd00::2/64 dev tw0 nodad');
  });
  afterAll(async () => {
    await Promise.all([hubToLeft, hubToRight, left, right].map((end) => end?.stop()));
    for (const namespace of [HUB, LEFT, RIGHT]) await run('ip', ['netns', 'delete', namespace]);
  });

  it('carry every ping, each over its own SA', async () => {
    const before = await Promise.all([left, right].map((end) => end.counters()));
    const results = await Promise.all(
      ['10.0.0.2', '10.0.1.2'].map((to) => ping(HUB, to, { count: 200, intervalMs: 5 })),
    );
    for (const result of results) expect(result).toMatchObject({ sent: 200, received: 200 });
    const after = await Promise.all([left, right].map((end) => end.counters()));
    for (const [i, counters] of after.entries()) {
      expect(counters.inbound.packets - (before[i]?.inbound.packets ?? 0)).toBeGreaterThanOrEqual(200);
      expect(counters.inbound.packets).toBe(counters.tunnel.rx_packets);
      expect(counters.tunnel.rx_drop_no_sa).toBe(0);
    }
  });

  it('carry a full-size packet and tell a sender of a larger one', async () => {
    const full = ['-c', '2', '-M', 'do', '-i', '0.01', '10.0.0.2'];
    expect(await run('ping', ['-s', `${MTU - 28}`, ...full], { namespace: HUB })).toContain(' 0% packet loss');
    await expect(run('ping', ['-s', `${MTU - 27}`, ...full], { namespace: HUB })).rejects.toThrow(
      `message too long, mtu=${MTU}`,
    );
  });

  it.each([
    ['TCP', []],
    ['TCP over IPv6', ['-6']],
    ['TCP from the responder', ['-R']],
    ['four TCP streams both ways', ['-P', '4', '--bidir']],
    ['UDP of full size', ['-u', '-b', '200M', '-l', '1300']],
    ['small UDP', ['-u', '-b', '10M', '-l', '64']],
  ])('carry %s without a malformed, replayed or unauthentic packet', async (name, options) => {
    const result = await iperf(options);
    const { sum_received: tcp, sum: udp } = result.end;
    // Far below what any machine reaches, far above what retransmissions around a bug would let through.
    expect((name.includes('UDP') ? udp : tcp)?.bytes ?? 0).toBeGreaterThan(name === 'small UDP' ? 500_000 : 20_000_000);
    if (!name.includes('UDP')) expect(result.start.tcp_mss_default).toBeLessThanOrEqual(MTU - 40);
    for (const end of [hubToLeft, left]) {
      const { tunnel } = await end.counters();
      expect(tunnel).toMatchObject({ rx_drop_malformed: 0, rx_drop_auth: 0, rx_drop_replay: 0, rx_drop_no_sa: 0 });
      expect(tunnel).toMatchObject({ tx_drop_malformed: 0, tx_drop_too_big: 0, tx_drop_sequence: 0 });
    }
  });

  it('take a packet once, and neither a second time nor changed', async () => {
    const before = await right.counters();
    const fresh = before.inbound.sequence + 50;
    hubToRight.command(`forge ${fresh} damaged`);
    hubToRight.command(`forge ${fresh}`);
    hubToRight.command(`forge ${fresh}`);
    await eventually('three packets were judged', 2_000, async () => {
      const { inbound } = await right.counters();
      return inbound.drop_auth === 1 && inbound.drop_replay === 1;
    });
    const after = await right.counters();
    expect(after.inbound.packets - before.inbound.packets).toBe(1);
    expect(after.inbound.sequence).toBe(fresh);
    expect(after.tunnel).toMatchObject({ rx_drop_auth: 1, rx_drop_replay: 1 });
  });

  it('hand IKE messages up with their port and source, and only to the tunnel of that peer', async () => {
    hubToLeft.command('ike 500 00112233');
    hubToLeft.command('ike 4500 44556677');
    left.command('ike 4500 8899aabb');
    right.command('keepalive');
    const from = { kind: 'ike', remoteAddress: '192.0.2.1' };
    await eventually('both messages arrived', 2_000, () => left.events.length === 2);
    // Two sockets: which is read first is the kernel's choice.
    expect(left.events.toSorted((a, b) => Number(a['localPort']) - Number(b['localPort']))).toEqual([
      { ...from, localPort: 500, remotePort: 500, message: '00112233' },
      { ...from, localPort: 4500, remotePort: 4500, message: '44556677' },
    ]);
    await eventually('the answer arrived', 2_000, () => hubToLeft.events.length === 1);
    expect(hubToLeft.events[0]).toMatchObject({ remoteAddress: '198.51.100.1', message: '8899aabb' });
    await eventually(
      'the keepalive arrived',
      2_000,
      async () => (await hubToRight.counters()).tunnel.keepalive_rx === 1,
    );
    expect(hubToRight.events).toEqual([]);
    expect(right.events).toEqual([]);
  });

  it('do not share a port with another IKE daemon, which would lose messages to us', async () => {
    // strongSwan sets SO_REUSEADDR on its sockets.
    const daemon =
      "require('dgram').createSocket({ type: 'udp4', reuseAddr: true }).bind(4500, () => console.log('bound'))";
    const other = new RunningProcess(process.execPath, ['-e', daemon], { namespace: LEFT });
    const sas = { inbound: sa(0x3001), outbound: sa(0x3002) };
    const options = { interface: 'tw9', mtu: MTU, local: '127.0.0.9', remote: '127.0.0.8', responder: true, ...sas };
    left.command('close');
    try {
      await eventually('the other daemon is there', 5_000, () => other.lines.includes('bound'));
      await expect(TunnelEnd.start(LEFT, options)).rejects.toThrow(/EADDRINUSE/);
      expect(await ip(LEFT, '-o link')).not.toContain(': tw9:');
    } finally {
      await other.stop();
    }
  });

  it('fail with an event, and rest, when somebody deletes the device', async () => {
    expect(await right.threads('tw-tw0')).toBe(1);
    await ip(RIGHT, 'link del tw0');
    await eventually('the tunnel failed', 2_000, () => right.events.length === 1);
    expect(right.events).toEqual([{ kind: 'failed', code: 'ENODEV', syscall: 'read tun' }]);
    await eventually('its thread ended', 2_000, async () => (await right.threads('tw-tw0')) === 0);
    expect(await right.stop()).toBe(0);
  });

  it('leave no device, thread or socket when closed', async () => {
    expect(await hubToLeft.close()).toBeLessThan(250);
    expect(await hubToLeft.threads('tw-tw0')).toBe(0);
    expect(await ip(HUB, '-o link')).not.toContain(': tw0:');
    expect(await run('ss', ['-Huan'], { namespace: HUB })).not.toContain('198.51.100.1:4500');
    expect(await hubToLeft.stop()).toBe(0);
  });

  it('end with their process, however it ends', async () => {
    process.kill(hubToRight.pid ?? 0, 'SIGKILL');
    await hubToRight.stop();
    await eventually('the device is gone', 2_000, async () => !(await ip(HUB, '-o link')).includes(': tw1:'));
  });

  async function iperf(options: readonly string[]): Promise<IperfResult> {
    const server = new RunningProcess('iperf3', ['-s', '-1', '--forceflush'], { namespace: LEFT });
    await eventually('iperf3 listens', 5_000, () => server.lines.some((line) => line.includes('listening')));
    const to = options.includes('-6') ? 'fd00::2' : '10.0.0.2';
    const output = await run('iperf3', ['-J', '-c', to, '-t', '1', ...options], { namespace: HUB });
    await server.exit;
    return JSON.parse(output) as IperfResult;
  }
});

interface IperfResult {
  readonly start: { readonly tcp_mss_default: number };
  readonly end: { readonly sum_received?: { readonly bytes: number }; readonly sum?: { readonly bytes: number } };
}

describe('a native netlink socket', () => {
  const namespace = `tw${process.pid}y-netlink`;
  beforeAll(async () => {
    await run('ip', ['netns', 'add', namespace]);
    await ip(namespace, 'link set lo up');
  });
  afterAll(() => run('ip', ['netns', 'delete', namespace]));

  it('tells of lost notifications and hears the next one', async () => {
    const driver = join(ROOT, 'test', 'netns', 'drivers', 'netlink-overrun.mjs');
    const { flood, afterwards } = JSON.parse(await run(process.execPath, [driver], { namespace }));
    expect(flood.overruns).toBeGreaterThanOrEqual(1);
    expect(afterwards).toEqual({ notifications: 1, overruns: flood.overruns });
  });
});

const ip = (namespace: string, words: string): Promise<string> => run('ip', ['-n', namespace, ...words.split(' ')]);

async function buildNamespaces(): Promise<void> {
  for (const namespace of [HUB, LEFT, RIGHT]) {
    await run('ip', ['netns', 'add', namespace]);
    await ip(namespace, 'link set lo up');
  }
  await ip(HUB, 'addr add 192.0.2.1/32 dev lo');
  for (const [namespace, device, address] of [
    [LEFT, 'left', '198.51.100.1'],
    [RIGHT, 'right', '198.51.100.2'],
  ] as const) {
    await run('ip', ['link', 'add', device, 'netns', HUB, 'type', 'veth', 'peer', 'name', 'hub', 'netns', namespace]);
    await ip(namespace, `addr add ${address}/32 dev hub`);
    await ip(HUB, `link set ${device} up`);
    await ip(namespace, 'link set hub up');
    await ip(HUB, `route add ${address}/32 dev ${device} src 192.0.2.1`);
    await ip(namespace, 'route add 192.0.2.1/32 dev hub');
  }
  for (const namespace of [HUB, LEFT, RIGHT]) await keepQuiet(namespace);
}
