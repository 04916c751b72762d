import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { keepQuiet } from './namespaces.ts';
import { RunningProcess, run } from './process.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';
import { type EndCounters, type StaticSa, TunnelEnd } from './tunnel-end.ts';

/*
 * Topology (topology.ts) with static keys: client ── branch ═══ zone1, the router on the outer path. What the branch's
 * kernel does because the TUN has the right MTU, and what the packet path adds.
 */
const MTU = 1380;
const SERVER = '52.96.0.1';
const SERVER6 = 'fd02::1';
const THERE: StaticSa = { spi: 0x1001, key: '11'.repeat(32), salt: '01020304' };
const BACK: StaticSa = { spi: 0x1002, key: '22'.repeat(32), salt: '05060708' };

describe.each([{ encapsulation: 'udp' }, { encapsulation: 'esp' }] as const)(
  'a path with ESP in $encapsulation',
  (way) => {
    let topology: Topology;
    let near: TunnelEnd;
    let far: TunnelEnd;
    let client: string;
    /** What the largest ESP packet takes away: 1400 octets of path leave this much. */
    const lowered = way.encapsulation === 'udp' ? 1338 : 1346;

    beforeAll(async () => {
      topology = await Topology.create();
      client = topology.namespace('client');
      const [zone] = topology.zones;
      for (const namespace of [topology.namespace('branch'), zone.namespace]) await keepQuiet(namespace);
      const common = { interface: 'tw0', mtu: MTU, copyDscp: true, ...way };
      const [here, there] = [topology.branchAddress, zone.endpoint];
      far = await TunnelEnd.start(zone.namespace, {
        ...common,
        local: there,
        remote: here,
        responder: true,
        inbound: THERE,
        outbound: BACK,
      });
      near = await TunnelEnd.start(topology.namespace('branch'), {
        ...common,
        local: here,
        remote: there,
        responder: false,
        inbound: BACK,
        outbound: THERE,
      });
      await topology.ip('branch', 'route add 52.96.0.0/14 dev tw0');
      await topology.ip('zone1', `route add ${ADDRESS.clientNetwork} dev tw0`);
      await addIpv6(topology);
    });
    afterAll(async () => {
      for (const end of [near, far]) await end?.stop();
      await topology.remove();
    });

    it('is one hop: the branch answers what expires, and nothing in the tunnel takes another TTL', async () => {
      await expect(pingOnce(['-t', '1', SERVER])).rejects.toThrow(
        `From ${ADDRESS.branchLan} icmp_seq=1 Time to live exceeded`,
      );
      expect(await pingOnce(['-t', '2', SERVER])).toContain(' 0% packet loss');
      await expect(pingOnce(['-6', '-t', '1', SERVER6])).rejects.toThrow('Time exceeded');
      expect(await pingOnce(['-6', '-t', '2', SERVER6])).toContain(' 0% packet loss');
    });

    it("has the kernel tell senders of what is too big for the tunnel, from the branch's LAN address", async () => {
      await expect(pingOnce(['-M', 'do', '-s', `${MTU - 27}`, SERVER])).rejects.toThrow(
        `From ${ADDRESS.branchLan} icmp_seq=1 Frag needed and DF set (mtu = ${MTU})`,
      );
      await expect(pingOnce(['-6', '-M', 'do', '-s', `${MTU - 47}`, SERVER6])).rejects.toThrow(
        `Packet too big: mtu=${MTU}`,
      );
      await forgetPaths();
      expect(await pingOnce(['-M', 'do', '-s', `${MTU - 28}`, SERVER])).toContain(' 0% packet loss');
      expect(await pingOnce(['-6', '-M', 'do', '-s', `${MTU - 48}`, SERVER6])).toContain(' 0% packet loss');
    });

    it('has the kernel fragment what may be fragmented', async () => {
      expect(await pingOnce(['-M', 'dont', '-s', '4000', SERVER])).toContain(' 0% packet loss');
      expect((await near.counters()).tunnel.tx_drop_too_big).toBe(0);
    });

    it('clamps the MSS both ways, so that no segment is too big', async () => {
      for (const flags of [[], ['-R'], ['-6'], ['-6', '-R']]) {
        const { start } = await iperf(flags);
        expect(start.tcp_mss_default).toBeLessThanOrEqual(MTU - (flags.includes('-6') ? 60 : 40));
      }
      for (const end of [near, far]) expect((await end.counters()).tunnel.tx_drop_too_big).toBe(0);
    });

    describe('while the device lets in more than the tunnel carries', () => {
      // As in the moment after the path has shrunk, only for longer: the MTU of the device is another hand's.
      beforeAll(() => topology.ip('branch', 'link set tw0 mtu 1500'));
      afterAll(() => topology.ip('branch', `link set tw0 mtu ${MTU}`));

      it('tells the senders of what may not be fragmented, as the kernel would', async () => {
        const { tunnel: before } = await near.counters();
        await forgetPaths();
        await expect(pingOnce(['-M', 'do', '-s', '1400', SERVER])).rejects.toThrow(
          `From ${ADDRESS.branchLan} icmp_seq=1 Frag needed and DF set (mtu = ${MTU})`,
        );
        await expect(pingOnce(['-6', '-M', 'do', '-s', '1400', SERVER6])).rejects.toThrow(`Packet too big: mtu=${MTU}`);
        const { tunnel: seen, outbound } = await near.counters();
        expect(seen.tx_drop_too_big - before.tx_drop_too_big).toBe(2);
        expect(outbound.drop_too_big).toBe(seen.tx_drop_too_big);
      });

      it('fragments the rest, whatever its size', async () => {
        await forgetPaths();
        for (const size of [1353, 1400, 1471, 4000]) {
          expect(await pingOnce(['-M', 'dont', '-s', `${size}`, SERVER]), `${size} octets`).toContain(
            ' 0% packet loss',
          );
        }
      });
    });

    it('marks outside what is marked inside, and inside what was marked outside', async () => {
      const sent = await outerHeaders(2, 'zone1', 'src host 192.0.2.10', () =>
        pingOnce(['-c', '2', '-i', '0.1', '-Q', '0xba', SERVER]),
      );
      for (const line of sent) expect(line).toContain('tos 0xba');

      const { tunnel: before } = await far.counters();
      await congested('ip ecn != not-ect', ecnStream);
      // A router that marks what does not speak ECN is broken: nobody would react, so the packet is dropped instead.
      await congested('ip ecn not-ect', async () => {
        expect(await ping(client, SERVER, { count: 3, intervalMs: 20 })).toMatchObject({ received: 0 });
      });
      expect((await far.counters()).tunnel.rx_drop_policy - before.rx_drop_policy).toBeGreaterThanOrEqual(3);
      expect(await counterOf('zone1', 'IpExtInCEPkts')).toBeGreaterThan(100);
      expect(await ping(client, SERVER, { count: 3, intervalMs: 20 })).toMatchObject({ received: 3 });
    });

    describe('that shrinks to 1400 octets in the middle of a transfer', () => {
      it.each([
        ['sending', [], 'zone1', () => near, 'branch'],
        ['receiving', ['-R'], 'branch', () => far, 'zone1'],
      ] as const)(
        'lowers the MTU of the end that sends, goes on, and rises again: %s',
        async (_, flags, link, end, node) => {
          await forgetPaths();
          const { bytes, events } = await duringTransfer(flags, end(), () =>
            topology.ip('router', `link set ${link} mtu 1400`),
          );
          expect(events).toEqual([{ kind: 'mtu', mtu: lowered, pathMtu: 1400 }]);
          expect(await topology.ip(node, 'link show tw0')).toContain(` mtu ${lowered} `);
          expect(bytes).toBeGreaterThan(5_000_000);
          if (node === 'branch') {
            await topology.ip('client', 'route flush cache');
            await expect(pingOnce(['-M', 'do', '-s', `${lowered - 27}`, SERVER])).rejects.toThrow(`(mtu = ${lowered})`);
            expect(await pingOnce(['-M', 'do', '-s', `${lowered - 28}`, SERVER])).toContain(' 0% packet loss');
          }
          await topology.ip('router', `link set ${link} mtu 1500`);
          // The kernel would forget what ICMP has taught it in ten minutes.
          await topology.ip(node, 'route flush cache');
          await eventually('the MTU is as configured again', 15_000, () => end().events.length === 2);
          expect(end().events[1]).toEqual({ kind: 'mtu', mtu: MTU, pathMtu: 1500 });
          end().events.length = 0;
        },
      );
    });

    it('moves every packet through all of this without one malformed', async () => {
      for (const end of [near, far]) {
        const { tunnel }: EndCounters = await end.counters();
        expect(tunnel).toMatchObject({ rx_drop_malformed: 0, rx_drop_auth: 0, rx_drop_no_sa: 0, tx_drop_malformed: 0 });
      }
    });

    function pingOnce(args: readonly string[]): Promise<string> {
      return run('ping', ['-n', '-c', '1', '-W', '1', ...args], { namespace: client });
    }

    async function forgetPaths(): Promise<void> {
      for (const node of ['client', 'zone1', 'branch'] as const) {
        await topology.ip(node, 'route flush cache');
        await topology.ip(node, '-6 route flush cache');
      }
    }

    async function iperf(flags: readonly string[], seconds = 1): Promise<IperfResult> {
      const server = topology.start('iperf3', ['-s', '-1', '--forceflush'], { namespace: topology.namespace('zone1') });
      await eventually('iperf3 listens', 5_000, () => server.lines.some((line) => line.includes('listening')));
      const to = flags.includes('-6') ? SERVER6 : SERVER;
      const output = await run('iperf3', ['-J', '-c', to, '-t', `${seconds}`, ...flags], { namespace: client });
      await server.exit;
      return JSON.parse(output) as IperfResult;
    }

    /** A TCP transfer in whose first half `change` happens: what arrived afterwards, and what `end` had to say. */
    async function duringTransfer(
      flags: readonly string[],
      end: TunnelEnd,
      change: () => Promise<unknown>,
    ): Promise<{ bytes: number; events: readonly object[] }> {
      const transfer = iperf(flags, 3);
      const { tunnel: before } = await end.counters();
      await eventually(
        'the transfer runs',
        5_000,
        async () => (await end.counters()).tunnel.tx_bytes > before.tx_bytes + 1e6,
      );
      await change();
      await eventually('the MTU follows', 5_000, () => end.events.length > 0);
      const { tunnel: changed } = await end.counters();
      await transfer;
      const { tunnel: after } = await end.counters();
      return { bytes: after.tx_bytes - changed.tx_bytes, events: [...end.events] };
    }

    /** The router marks those datagrams of the branch as having met congestion. */
    async function congested(which: string, action: () => Promise<void>): Promise<void> {
      const nft = (...words: string[]): Promise<string> =>
        run('nft', words, { namespace: topology.namespace('router') });
      await nft('add table ip congestion; add chain ip congestion out { type filter hook forward priority 0; }');
      await nft(`add rule ip congestion out ip saddr ${topology.branchAddress} ${which} ip ecn set ce`);
      try {
        await action();
      } finally {
        await nft('delete table ip congestion');
      }
    }

    /** TCP that has agreed on ECN, from the client. */
    async function ecnStream(): Promise<void> {
      for (const node of ['client', 'zone1'] as const) {
        await run('sysctl', ['-qw', 'net.ipv4.tcp_ecn=1'], { namespace: topology.namespace(node) });
      }
      await iperf([]);
    }

    async function counterOf(node: 'zone1', name: string): Promise<number> {
      const text = await run('nstat', ['-az', name], { namespace: topology.namespace(node) });
      return Number(text.match(new RegExp(`^${name}\\s+(\\d+)`, 'm'))?.[1]);
    }

    /** The first line that tcpdump writes about each of `count` ESP packets. */
    async function outerHeaders(
      count: number,
      node: 'zone1',
      filter: string,
      action: () => Promise<unknown>,
    ): Promise<string[]> {
      const args = ['-n', '-v', '-l', '--immediate-mode', '-c', `${count}`, '-i', 'wan0', filter];
      const tcpdump = new RunningProcess('tcpdump', args, { namespace: topology.namespace(node) });
      await eventually('tcpdump listens', 5_000, () => tcpdump.lines.some((line) => line.includes('listening on')));
      await action();
      await tcpdump.exit;
      return tcpdump.lines.filter((line) => / IP \(tos /.test(line));
    }
  },
);

interface IperfResult {
  readonly start: { readonly tcp_mss_default: number };
}

/** fd01::/64 on the LAN, fd02::/64 behind the tunnel. */
async function addIpv6(topology: Topology): Promise<void> {
  for (const node of ['branch', 'zone1'] as const) {
    await run('sysctl', ['-qw', 'net.ipv6.conf.all.forwarding=1'], { namespace: topology.namespace(node) });
  }
  await topology.ip('client', 'addr add fd01::10/64 dev eth0 nodad');
  await topology.ip('branch', 'addr add fd01::1/64 dev lan0 nodad');
  await topology.ip('client', 'route add default via fd01::1');
  await topology.ip('branch', 'route add fd02::/64 dev tw0');
  await topology.ip('zone1', 'addr add fd02::1/128 dev lo');
  await topology.ip('zone1', 'route add fd01::/64 dev tw0');
}
