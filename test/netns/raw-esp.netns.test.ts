import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { keepQuiet } from './namespaces.ts';
import { RunningProcess, run } from './process.ts';
import { ROOT } from './repository.ts';
import { ping } from './traffic.ts';
import { type StaticSa, TunnelEnd, type TunnelEndOptions } from './tunnel-end.ts';

/*
 *   left  eth0 192.0.2.1, 2001:db8::1 ─────────── eth0 192.0.2.2, 2001:db8::2  right
 *         tw0  10.0.0.1, fd00::1      ═══ ESP ═══  tw0 10.0.0.2, fd00::2
 *
 * ESP without UDP (IP protocol 50) with static keys.
 */
const MTU = 1400;
const prefix = `tw${process.pid}x`;
const LEFT = `${prefix}-left`;
const RIGHT = `${prefix}-right`;

const sa = (spi: number, esn = false): StaticSa => ({
  spi,
  key: `${spi.toString(16)}cd`.padStart(64, '0'),
  salt: '0a0b0c0d',
  esn,
});

type Way = Pick<TunnelEndOptions, 'encapsulation'> & { readonly esn?: boolean; readonly outer?: 4 | 6 };

function options(side: 'left' | 'right', { encapsulation = 'esp', esn = false, outer = 4 }: Way): TunnelEndOptions {
  const [left, right] = outer === 4 ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2'];
  const common = { interface: 'tw0', mtu: MTU, encapsulation };
  return side === 'left'
    ? { ...common, local: left, remote: right, responder: false, inbound: sa(0x1001, esn), outbound: sa(0x1002, esn) }
    : { ...common, local: right, remote: left, responder: true, inbound: sa(0x1002, esn), outbound: sa(0x1001, esn) };
}

beforeAll(async () => {
  for (const namespace of [LEFT, RIGHT]) {
    await run('ip', ['netns', 'add', namespace]);
    await ip(namespace, 'link set lo up');
  }
  await run('ip', ['link', 'add', 'eth0', 'netns', LEFT, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', RIGHT]);
  for (const [namespace, n] of [
    [LEFT, 1],
    [RIGHT, 2],
  ] as const) {
    await ip(namespace, `addr add 192.0.2.${n}/24 dev eth0`);
    await ip(namespace, `addr add 2001:db8::${n}/64 dev eth0 nodad`);
    await ip(namespace, 'link set eth0 up');
    await keepQuiet(namespace);
  }
});
afterAll(async () => {
  for (const namespace of [LEFT, RIGHT]) await run('ip', ['netns', 'delete', namespace]);
});

describe.each<Way>([
  { encapsulation: 'esp' },
  { encapsulation: 'esp', esn: true },
  { encapsulation: 'esp', outer: 6 },
  { encapsulation: 'udp', outer: 6 },
])('two ends that speak %o', (way) => {
  let left: TunnelEnd;
  let right: TunnelEnd;
  beforeAll(async () => {
    [left, right] = await Promise.all([
      TunnelEnd.start(LEFT, options('left', way)),
      TunnelEnd.start(RIGHT, options('right', way)),
    ]);
    await addInnerAddresses(LEFT, RIGHT);
  });
  afterAll(() => Promise.all([left, right].map((end) => end?.stop())));

  it('carry every ping over IPv4 and IPv6, as the IP protocol they say', async () => {
    const captured = new RunningProcess(
      'tcpdump',
      [
        '-n',
        '-l',
        '--immediate-mode',
        '-c',
        '20',
        '-i',
        'eth0',
        way.encapsulation === 'esp' ? 'proto 50' : 'udp port 4500',
      ],
      { namespace: RIGHT },
    );
    await eventually('tcpdump listens', 5_000, () => captured.lines.some((line) => line.includes('listening on')));
    for (const to of ['10.0.0.2', 'fd00::2']) {
      expect(await ping(LEFT, to, { count: 50, intervalMs: 5 })).toMatchObject({ sent: 50, received: 50 });
    }
    expect((await captured.exit).code).toBe(0);
    expect(captured.lines.filter((line) => line.includes('ESP(spi=0x0000100'))).toHaveLength(20);
  });

  it.each([
    ['TCP', []],
    ['TCP back', ['-R']],
    ['four TCP streams both ways over IPv6', ['-6', '-P', '4', '--bidir']],
  ])('carry %s without a malformed, replayed or unauthentic packet', async (_, flags) => {
    const server = new RunningProcess('iperf3', ['-s', '-1', '--forceflush'], { namespace: RIGHT });
    await eventually('iperf3 listens', 5_000, () => server.lines.some((line) => line.includes('listening')));
    const to = flags.includes('-6') ? 'fd00::2' : '10.0.0.2';
    const { end } = JSON.parse(await run('iperf3', ['-J', '-c', to, '-t', '1', ...flags], { namespace: LEFT }));
    await server.exit;
    expect(end.sum_received.bytes).toBeGreaterThan(5_000_000);
    for (const each of [left, right]) {
      const { tunnel } = await each.counters();
      expect(tunnel).toMatchObject({ rx_drop_malformed: 0, rx_drop_auth: 0, rx_drop_replay: 0, rx_drop_no_sa: 0 });
      expect(tunnel).toMatchObject({ tx_drop_malformed: 0, tx_drop_too_big: 0, tx_drop_sequence: 0 });
    }
  });
});

describe('an end that speaks raw ESP', () => {
  let left: TunnelEnd;
  let right: TunnelEnd;
  beforeAll(async () => {
    left = await TunnelEnd.start(LEFT, options('left', { encapsulation: 'esp' }));
    right = await TunnelEnd.start(RIGHT, options('right', { encapsulation: 'udp' }));
    await addInnerAddresses(LEFT, RIGHT);
  });
  afterAll(() => Promise.all([left, right].map((end) => end?.stop())));

  it('takes ESP in UDP from its peer all the same, and the other way round', async () => {
    expect(await ping(LEFT, '10.0.0.2', { count: 20, intervalMs: 5 })).toMatchObject({ received: 20 });
  });

  it('still tells IKE and keepalives on port 4500 from ESP', async () => {
    right.command('ike 4500 00112233');
    right.command('keepalive');
    await eventually('both arrived', 2_000, async () => {
      const { tunnel } = await left.counters();
      return tunnel.ike_rx === 1 && tunnel.keepalive_rx === 1;
    });
    expect(left.events).toMatchObject([{ kind: 'ike', localPort: 4500, message: '00112233' }]);
  });

  it('counts what is too short for ESP as malformed', async () => {
    const { tunnel: before } = await left.counters();
    right.command('raw 50 0011');
    right.command('raw 50 0000100100000001aabbccdd');
    await eventually('both were judged', 2_000, async () => {
      const { tunnel } = await left.counters();
      return tunnel.rx_drop_malformed - before.rx_drop_malformed === 2;
    });
  });
});

describe.each<Way>([
  { encapsulation: 'esp' },
  { encapsulation: 'esp', esn: true },
  { encapsulation: 'udp' },
  { encapsulation: 'udp', esn: true },
])('Scapy as the peer of %o', (way) => {
  it('opens what we seal, and we what it seals: packets, padded packets and dummies', async () => {
    const left = await TunnelEnd.start(LEFT, options('left', way));
    const { local, remote, inbound, outbound } = options('right', way);
    const driver = join(ROOT, 'test', 'netns', 'drivers', 'scapy-esp.py');
    const document = JSON.stringify({
      local,
      remote,
      inbound,
      outbound,
      encapsulation: way.encapsulation,
      device: 'eth0',
    });
    const scapy = new RunningProcess('/usr/bin/python3', [driver, document], { namespace: RIGHT });
    try {
      await eventually('Scapy listens', 20_000, () => scapy.lines.some((line) => line.includes('ready')));
      await addInnerAddresses(LEFT);
      for (const to of ['10.0.0.2', 'fd00::2']) {
        expect(await ping(LEFT, to, { count: 10, intervalMs: 100 })).toMatchObject({ sent: 10, received: 10 });
      }
      const { tunnel, inbound: received } = await left.counters();
      expect(tunnel).toMatchObject({ rx_drop_malformed: 0, rx_drop_auth: 0, rx_drop_replay: 0, rx_drop_no_sa: 0 });
      expect(tunnel.rx_dummy).toBe(2 * 10);
      expect(received.packets).toBe(2 * 10);
    } finally {
      await scapy.stop();
      await left.stop();
    }
  });
});

async function addInnerAddresses(...namespaces: string[]): Promise<void> {
  for (const namespace of namespaces) {
    const n = namespace === LEFT ? 1 : 2;
    await ip(namespace, `addr add 10.0.0.${n}/24 dev tw0`);
    await ip(namespace, `addr add fd00::${n}/64 dev tw0 nodad`);
  }
}

const ip = (namespace: string, words: string): Promise<string> => run('ip', ['-n', namespace, ...words.split(' ')]);
