import { describe, expect, it } from 'vitest';
import { EventLog } from '../../../src/agent/event-log.ts';
import { KeyExport } from '../../../src/agent/key-export.ts';
import { LeavingDevices } from '../../../src/agent/leaving-devices.ts';
import { OUTER_MARK, Tunnel, type TunnelDeps } from '../../../src/agent/tunnel.ts';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import type { IkeConfig } from '../../../src/ike/types.ts';
import { type IpAddress, ip } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { FakeAddon, refusal } from './fake-addon.ts';
import { FarEnds } from './far-ends.ts';
import { ManualClock } from './manual-clock.ts';
import { firstSpec } from './zone-peers.ts';

const UP = ['tw0 openTunnel', 'opened', 'tw0 addInbound', 'tw0 setOutbound', 'up'];

describe('Tunnel', () => {
  it('is up once both directions of a CHILD_SA are installed, inbound first', async () => {
    const { calls, addon, run, tunnel } = setUp();
    await run(2);
    expect(calls).toEqual(UP);
    expect(tunnel.children).toHaveLength(1);
    expect(tunnel.ike?.state).toBe('established');
    expect(addon.last.options).toMatchObject({
      interface: 'tw0',
      mark: OUTER_MARK,
      device: 'eth0',
      localAddress: ip('192.0.2.10').bytes,
      remoteAddress: ip('198.51.100.20').bytes,
    });
  });

  it('moves routes and sessions before it takes the SA, and the carrier with it, when the peer hangs up', async () => {
    const { calls, far, run } = setUp();
    await run(2);
    calls.length = 0;
    far.silent.add('198.51.100.20');
    far.hangUp('198.51.100.20');
    await run(1);
    expect(calls).toEqual([expect.stringMatching(/^down /), 'tw0 clearOutbound', 'tw0 removeInbound']);
  });

  it('tells the operator, once, that the path carries less than configured, and when it does again', async () => {
    const { addon, log, run, tunnel } = setUp();
    await run(2);
    const before = log.after(0).length;
    expect(tunnel.mtu).toBe(1380);
    addon.last.emit({ kind: 'mtu', mtu: 1338, pathMtu: 1400 });
    await run(1);
    expect(tunnel.mtu).toBe(1338);
    addon.last.emit({ kind: 'mtu', mtu: 1380, pathMtu: 1500 });
    await run(1);
    expect(tunnel.mtu).toBe(1380);
    expect(log.after(0).slice(before)).toMatchObject([
      {
        kind: 'path-mtu',
        level: 'warn',
        message: 'the path to 198.51.100.20 carries 1400 octets: packets in tw0 may have 1338 instead of 1380',
      },
      {
        kind: 'path-mtu',
        level: 'info',
        message: 'the path to 198.51.100.20 carries 1500 octets: packets in tw0 may have 1380 again, as configured',
      },
    ]);
  });

  it('says DELETE when it stops, and is gone for good', async () => {
    const { calls, far, run, tunnel } = setUp();
    await run(2);
    calls.length = 0;
    tunnel.stop();
    expect(calls.slice(-2)).toEqual(['tw0 close', 'closed']);
    expect(far.stateOf('198.51.100.20')).toBe('idle');
    calls.length = 0;
    await run(60);
    expect([calls, tunnel.device, tunnel.problem]).toEqual([[], undefined, undefined]);
  });

  it('waits for an address of the WAN, says so once, and opens within a second when it comes', async () => {
    const { calls, wan, log, run, tunnel } = setUp();
    wan.address = undefined;
    await run(120);
    expect(calls).toEqual([]);
    expect(tunnel.problem).toMatchObject({
      layer: 'wan',
      reason: 'WAN fiber: interface eth0 has no IPv4 address; bring it up or correct wans[].interface',
    });
    expect(log.after(0)).toHaveLength(1);
  });

  it('follows the address of the WAN: down, closed, opened from the new one', async () => {
    const { addon, calls, wan, run, tunnel } = setUp();
    await run(2);
    calls.length = 0;
    wan.address = ip('192.0.2.77');
    await run(3);
    expect(calls.slice(0, 4)).toEqual([
      'down WAN fiber (eth0) changed its address to 192.0.2.77',
      'tw0 close',
      'closed',
      'tw0 openTunnel',
    ]);
    expect(addon.last.options.localAddress).toEqual(ip('192.0.2.77').bytes);
    expect(tunnel.children).toHaveLength(1);
  });

  it('is closed while the WAN has no address any more', async () => {
    const { addon, wan, run, tunnel } = setUp();
    await run(2);
    wan.address = undefined;
    await run(0);
    expect(addon.last.closed).toBe(true);
    expect(tunnel.problem?.reason).toBe('WAN fiber (eth0) has no address any more');
  });

  it('notices within seconds that it sends into silence', async () => {
    const { addon, far, run, tunnel } = setUp();
    await run(2);
    far.silent.add('198.51.100.20');
    for (let second = 1; second <= 10; second++) {
      addon.last.outboundCounters.at(-1)?.fill(BigInt(second * 1_000));
      await run(1);
    }
    expect(tunnel.children).toEqual([]);
    expect(tunnel.ike?.state).not.toBe('established');
  });

  it('tries again with growing waits when the kernel refuses the device, and logs the sentence once', async () => {
    const { addon, calls, log, run, tunnel } = setUp();
    addon.failing.set('openTunnel', refusal('ENOENT', 'open /dev/net/tun'));
    await run(100);
    expect(calls.filter((call) => call === 'tw0 openTunnel').length).toBeLessThan(10);
    expect(tunnel.problem).toMatchObject({ layer: 'ike', reason: expect.stringContaining('modprobe tun') });
    expect(log.after(0)).toHaveLength(1);
    addon.failing.clear();
    await run(31);
    expect(tunnel.children).toHaveLength(1);
  });

  it.each([
    ['setOutbound', 'ENODEV', 'The TUN device tw0 was removed by another program.'],
    ['addInbound', 'ENOSPC', 'tw0 has too many inbound SAs'],
    ['setOutbound', 'EPERM', 'CAP_NET_ADMIN is missing'],
    ['sendIke', 'EBADF', 'EBADF'],
  ] as const)('closes with a sentence and opens again when %s is refused with %s', async (call, code, sentence) => {
    const { addon, calls, run, tunnel } = setUp();
    addon.failing.set(call, refusal(code, call));
    await run(1);
    expect(tunnel.problem?.reason).toContain(sentence);
    expect(addon.last.closed).toBe(true);
    await run(100);
    const attempts = addon.tunnels.length;
    expect(attempts).toBeGreaterThan(3);
    expect(attempts).toBeLessThan(10);
    expect(addon.tunnels.filter(({ closed }) => !closed)).toEqual([]);
    expect(calls).not.toContain('up');

    addon.failing.clear();
    await run(31);
    expect(tunnel.children).toHaveLength(1);
  });

  it('survives a device that another hand removed while traffic flowed', async () => {
    const { addon, calls, run, tunnel } = setUp();
    await run(2);
    calls.length = 0;
    const failure = refusal('ENODEV', 'TUNSETCARRIER');
    for (const call of ['clearOutbound', 'removeInbound'] as const) addon.failing.set(call, failure);
    addon.last.emit({ kind: 'failed', code: 'ENODEV', syscall: 'read' });
    await run(0);
    expect(calls).toEqual([
      'down the packet path of tw0 stopped: The TUN device tw0 was removed by another program.',
      'tw0 close',
      'closed',
    ]);
    addon.failing.clear();
    await run(3);
    expect(tunnel.children).toHaveLength(1);
  });

  it('survives a peer that hangs up on a device that is gone', async () => {
    const { addon, calls, far, run, tunnel } = setUp();
    await run(2);
    addon.failing.set('clearOutbound', refusal('ENODEV', 'TUNSETCARRIER'));
    far.hangUp('198.51.100.20');
    await run(0);
    expect(calls.filter((call) => call.startsWith('down '))).toHaveLength(1);
    expect(tunnel.problem?.reason).toBe('The TUN device tw0 was removed by another program.');
  });

  it('stops also when the device refuses everything', async () => {
    const { addon, calls, run, tunnel } = setUp();
    await run(2);
    addon.failing.set('clearOutbound', refusal('ENODEV', 'TUNSETCARRIER'));
    tunnel.stop();
    await run(60);
    expect(calls.filter((call) => call === 'closed')).toHaveLength(1);
    expect(addon.tunnels).toHaveLength(1);
    expect(tunnel.problem).toBeUndefined();
  });

  it('keeps the stack of a mistake of our own in the log', async () => {
    const { addon, log, run, tunnel } = setUp();
    addon.failing.set('addInbound', new TypeError('key: expected 16, 24 or 32 octets'));
    await run(1);
    expect(tunnel.problem?.reason).toBe('internal error (key: expected 16, 24 or 32 octets); the log has the details');
    expect(log.after(0).find(({ kind }) => kind === 'internal-error')?.message).toContain('\n    at ');
  });

  it('passes on how the peer sees us, and that it does so no more', async () => {
    const { far, run, seen, tunnel } = setUp();
    await run(2);
    expect(seen).toEqual(['as we are']);
    far.silent.add('198.51.100.20');
    far.hangUp('198.51.100.20');
    await run(1);
    expect(seen).toEqual(['as we are', 'lost']);
    far.silent.clear();
    far.seenAt = { address: ip('203.0.113.7'), port: 61_234 };
    await run(20);
    expect(seen).toEqual(['as we are', 'lost', 'behind a NAT']);
    tunnel.stop();
    expect(seen.at(-1)).toBe('lost');
  });

  it('goes on without exported keys when their file cannot be written', async () => {
    const errors: string[] = [];
    const keyExport = new KeyExport('/dev/shm', (message) => errors.push(message));
    keyExport.ike = () => errors.push('disk full');
    const { run, tunnel } = setUp({ keyExport });
    await run(2);
    expect(tunnel.children).toHaveLength(1);
    expect(errors).toContain('disk full');
  });

  it('tells IKE of inbound traffic, so that a busy tunnel sends no probes', async () => {
    const { addon, far, log, run, tunnel } = setUp();
    await run(2);
    const counters = addon.last.inboundCounters[0];
    if (counters === undefined) throw new Error('no SA was installed');
    far.silent.add('198.51.100.20');
    for (let second = 0; second < 60; second++) {
      counters[0] = BigInt(second + 1);
      await run(1);
    }
    expect(tunnel.ike?.state).toBe('established');
    expect(log.history({ tunnel: 'fiber/1', limit: 99 }).filter((row) => row.exchange === 'INFORMATIONAL')).toEqual([]);
  });

  it('shows why the peer refuses, and keeps the device while IKE tries again', async () => {
    const { addon, run, tunnel } = setUp({}, { psk: Secret.fromText('another-key-0123456789') });
    await run(30);
    expect(tunnel.ike).toMatchObject({ state: expect.stringMatching(/backoff|connecting/) });
    expect(tunnel.ike?.lastError).toContain('AUTHENTICATION_FAILED');
    expect(addon.tunnels).toHaveLength(1);
  });
});

function setUp(changes: Partial<TunnelDeps> = {}, gateway: Partial<IkeConfig> = {}) {
  const clock = new ManualClock();
  const calls: string[] = [];
  const addon = new FakeAddon(calls);
  const far = new FarEnds(addon, clock, gateway);
  const log = new EventLog(() => clock.wall());
  const wan: { address: IpAddress | undefined } = { address: ip('192.0.2.10') };
  const seen: string[] = [];
  const deps: TunnelDeps = {
    addon: addon.asAddon,
    clock,
    crypto: nodeCrypto,
    random: new SeededRandom(1),
    log,
    keyExport: undefined,
    leaving: new LeavingDevices(),
    outside: {
      sighted: (_, { translated }) => void seen.push(translated ? 'behind a NAT' : 'as we are'),
      lost: () => void seen.push('lost'),
    },
    wanAddress: () => wan.address,
    ...changes,
  };
  const tunnel = new Tunnel(firstSpec(), deps, {
    onOpened: () => calls.push('opened'),
    onUp: () => calls.push('up'),
    onDown: (_, reason) => calls.push(`down ${reason}`),
    onClosed: () => calls.push('closed'),
  });
  /** As the agent does: a tick at once and then each second. */
  const run = async (seconds: number): Promise<void> => {
    tunnel.tick(clock.now());
    await clock.advance(10);
    for (let i = 0; i < seconds; i++) {
      await clock.advance(1_000);
      tunnel.tick(clock.now());
    }
    await clock.advance(10);
  };
  return { addon, calls, clock, far, log, run, seen, tunnel, wan };
}
