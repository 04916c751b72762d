import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Agent } from '../../../src/agent/agent.ts';
import { ip } from '../../../src/lib/ip.ts';
import { BranchWorld } from './branch-world.ts';
import { refusal } from './fake-addon.ts';
import { branchConfig } from './zone-peers.ts';

const BOTH = ['198.18.1.101/32 via tw0 tw1', '52.96.0.0/14 via tw0 tw1', '20.20.32.0/19 via tw0'];

describe('Agent', () => {
  it('brings up a tunnel and a session per zone, and routes what both announce over both', async () => {
    const { world, agent } = await started();
    expect(agent.paths.map((path) => [path.spec.name, path.tunnel.ike?.state, path.peers[0]?.view().state])).toEqual([
      ['fiber/1', 'established', 'established'],
      ['fiber/2', 'established', 'established'],
    ]);
    expect(world.upTunnels).toEqual(['tw0', 'tw1']);
    expect(world.routes).toEqual(BOTH);
    expect(agent.registration.state).toBe('manual');
  });

  it('prepares a new device: return traffic may come on either tunnel, and no IPv6 leaves by itself', async () => {
    const { world } = await started();
    expect(world.calls).toEqual(
      expect.arrayContaining(['sysctl net/ipv4/conf/tw0/rp_filter=2', 'sysctl net/ipv6/conf/tw1/disable_ipv6=1']),
    );
  });

  it('moves everything to the tunnel that is left, and shares again when the other one is back', async () => {
    const { world } = await started();
    world.far.silent.add('198.51.100.20');
    world.far.hangUp('198.51.100.20');
    await world.seconds(1);
    expect(world.upTunnels).toEqual(['tw1']);
    expect(world.routes).toEqual(['198.18.1.101/32 via tw0 tw1', '52.96.0.0/14 via tw1']);
    world.far.silent.clear();
    await world.seconds(120);
    expect(world.upTunnels).toEqual(['tw0', 'tw1']);
    expect(new Set(world.routes)).toEqual(new Set(BOTH));
  });

  it('lets BGP wait for the kernel: its source address must exist before the first SYN', async () => {
    const { world, agent } = await started({ heldKernel: true });
    await world.seconds(10);
    expect(agent.paths.map((path) => path.peers[0]?.view().state)).toEqual(['idle', 'idle']);
    world.kernel.release();
    await world.seconds(1);
    expect(agent.paths.map((path) => path.peers[0]?.view().state)).toEqual(['established', 'established']);
  });

  it('protects the address of a WAN that came or changed after the start', async () => {
    const { world } = await started();
    world.announced.set('169.254.21.2', []);
    world.wans.set('eth0', ip('20.20.33.1'));
    await world.seconds(3);
    const route = world.routing.received('169.254.22.2');
    expect(route?.map(({ rejected }) => rejected)).toEqual([undefined]);
    // 20.20.32.0/19 would hold our own address: it would draw the tunnel into itself
    expect(world.routes.join()).not.toContain('20.20.32.0/19');
  });
});

describe('a far end that falls silent', () => {
  it('loses its routes within a second while its tunnel and session count as up, and gets them back after two', async () => {
    const { world, agent } = await started();
    await world.seconds(2);
    world.silent.add('tw0');
    await world.clock.advance(750);
    expect(world.learning).toEqual(['tw1']);
    expect([world.upTunnels, agent.paths[0]?.silent]).toEqual([['tw0', 'tw1'], true]);
    expect(world.messages.at(-1)).toMatch(/^path-silent: 169\.254\.21\.2 does not answer through the tunnel/);
    world.silent.clear();
    await world.clock.advance(2_000);
    expect(world.learning).toEqual(['tw1']);
    await world.clock.advance(500);
    expect(world.learning).toEqual(['tw0', 'tw1']);
  });

  it('keeps them when no other far end answers either', async () => {
    const { world } = await started();
    await world.seconds(2);
    world.silent.add('tw0').add('tw1');
    await world.seconds(3);
    expect(world.learning).toEqual(['tw0', 'tw1']);
    world.silent.delete('tw1');
    await world.seconds(3);
    expect(world.learning).toEqual(['tw1']);
  });

  it('is not judged when it has never answered', async () => {
    const { world } = await started({ silent: ['tw0', 'tw1'] });
    await world.seconds(10);
    expect(world.learning).toEqual(['tw0', 'tw1']);
  });
});

describe('Agent.reload', () => {
  it('leaves alone what did not change', async () => {
    const { world, agent } = await started();
    const before = agent.paths;
    const calls = world.calls.length;
    await agent.reload(branchConfig());
    await world.seconds(2);
    expect(agent.paths).toEqual(before);
    expect(world.calls.slice(calls).filter((call) => call.startsWith('tw'))).toEqual([]);
  });

  it('starts the changed tunnel anew, and only that one', async () => {
    const { world, agent } = await started();
    const [, second] = agent.paths;
    await agent.reload(branchConfig((yaml) => yaml.replace('198.51.100.20', '198.51.100.21')));
    await world.seconds(5);
    expect(world.calls.filter((call) => call.endsWith(' openTunnel'))).toEqual([
      'tw0 openTunnel',
      'tw1 openTunnel',
      'tw0 openTunnel',
    ]);
    expect(agent.paths[1]).toBe(second);
    expect(world.upTunnels).toEqual(['tw0', 'tw1']);
    expect(new Set(world.routes)).toEqual(new Set(BOTH));
  });

  it('opens a name again as soon as the kernel has taken the old device away, and not before', async () => {
    const { world, agent } = await started();
    let gone = (): void => undefined;
    world.addon.devicesGone = new Promise((resolve) => {
      gone = resolve;
    });
    const opened = (): number => world.calls.filter((call) => call === 'tw0 openTunnel').length;
    await agent.reload(branchConfig((yaml) => yaml.replace('198.51.100.20', '198.51.100.21')));
    await world.seconds(3);
    expect(opened()).toBe(1);
    gone();
    await world.seconds(0);
    expect(opened()).toBe(2);
  });

  it('tells the peers of another network over the sessions that are up', async () => {
    const { world, agent } = await started();
    const before = agent.paths;
    await agent.reload(branchConfig((yaml) => yaml.replace('[10.1.20.0/24]', '[10.1.20.0/24, 10.1.30.0/24]')));
    await world.seconds(2);
    await agent.reload(branchConfig((yaml) => yaml.replace('[10.1.20.0/24]', '[10.1.30.0/24]')));
    await world.seconds(2);
    expect(agent.paths.map((path) => before.includes(path))).toEqual([true, true]);
    expect(world.calls.filter((call) => call.endsWith(' openTunnel'))).toHaveLength(2);
    for (const zone of ['169.254.21.2', '169.254.22.2']) {
      expect(world.told.get(zone)).toEqual(['+10.1.20.0/24', '+10.1.30.0/24', '-10.1.20.0/24']);
    }
  });

  it('removes the tunnels of a zone that is gone, and its routes', async () => {
    const { world, agent } = await started();
    await agent.reload(
      branchConfig((yaml) =>
        yaml
          .replace(/^.*zone: 2, endpoint.*\n/m, '')
          .replace(/redundancy: zone\b/, 'redundancy: none')
          .replace(/^.*zone_peer_ip.*\n/m, ''),
      ),
    );
    await world.seconds(3);
    expect(world.upTunnels).toEqual(['tw0']);
    expect(world.routes.join()).not.toContain('tw1');
    expect(world.routing.received('169.254.22.2')).toBeUndefined();
  });

  it('lets the newest of two at once win, also when the older one is slower', async () => {
    const { world, agent } = await started();
    let go = (): void => undefined;
    world.slowSysctl = new Promise((resolve) => {
      go = resolve;
    });
    const first = agent.reload(branchConfig((yaml) => yaml.replace('198.51.100.20', '198.51.100.21')));
    world.slowSysctl = Promise.resolve();
    const second = agent.reload(branchConfig((yaml) => yaml.replace('198.51.100.20', '198.51.100.22')));
    await second;
    go();
    await first;
    await world.seconds(5);
    expect(agent.paths[0]?.spec.endpoint).toEqual(ip('198.51.100.22'));
    expect(world.messages.filter((message) => message.startsWith('config-applied'))).toHaveLength(1);
  });

  it('says what only a restart changes', async () => {
    const { world, agent } = await started();
    await agent.reload({ ...branchConfig(), crypto: { provider: 'noble' } });
    expect(world.messages.join()).toContain('config-needs-restart: crypto.provider');
  });
});

describe('Agent.stop', () => {
  it('says Cease, clears the kernel, then DELETE, devices and settings, in this order, and lets go', async () => {
    const { world, agent } = await started();
    world.calls.length = 0;
    world.kernel.onClear = () => void world.calls.push('fib clear');
    const stopped = agent.stop();
    await world.seconds(1);
    await stopped;
    expect(world.calls.filter((call) => /clear$|close|restore/.test(call))).toEqual([
      'fib clear',
      'tw0 close',
      'tw1 close',
      'sysctl restore',
    ]);
    expect(world.messages.join()).toContain('bgp-down: BGP session with 169.254.21.2 ended');
    expect([world.far.stateOf('198.51.100.20'), world.released]).toEqual(['idle', 1]);
    expect(world.clock.nextMs()).toBeGreaterThan(1_000); // only the zones still count
  });

  it('is done once, however often it is asked for, and everybody waits for its end', async () => {
    const { world, agent } = await started();
    const stops = [agent.stop(), agent.stop()];
    await world.seconds(1);
    await Promise.all(stops);
    expect(world.released).toBe(1);
  });

  it.each<[string, (world: BranchWorld) => void]>([
    ['the kernel answers nothing any more', (world) => world.kernel.hangOnClear()],
    ['the state directory cannot be written', (world) => world.restoreWith(() => Promise.reject(new Error('EROFS')))],
    [
      'a device does not go away',
      (world) => {
        world.addon.devicesGone = new Promise(() => undefined);
      },
    ],
    ['a setting is stuck', (world) => world.restoreWith(() => new Promise(() => undefined))],
    [
      'the devices were removed',
      (world) => world.addon.failing.set('clearOutbound', refusal('ENODEV', 'TUNSETCARRIER')),
    ],
    [
      'the kernel hangs and the settings are stuck',
      (world) => {
        world.kernel.hangOnClear();
        world.restoreWith(() => new Promise(() => undefined));
      },
    ],
  ])('ends within 5 s with all devices closed when %s', async (_, spoil) => {
    const { world, agent } = await started();
    spoil(world);
    const begin = world.clock.now();
    let took = Number.POSITIVE_INFINITY;
    void agent.stop().then(() => {
      took = world.clock.now() - begin;
    });
    await world.seconds(10);
    expect(took).toBeLessThan(5_000);
    expect(world.addon.tunnels.filter(({ closed }) => !closed)).toEqual([]);
    expect(world.released).toBe(1);
  });

  it('says what it could not finish and how to do it again', async () => {
    const { world, agent } = await started();
    world.restoreWith(() => Promise.reject(new Error('read-only file system')));
    void agent.stop();
    await world.seconds(10);
    expect(world.messages.at(-1)).toBe(
      'stop-incomplete: restoring kernel settings: read-only file system; tunwrightd --cleanup does it again',
    );
  });

  it('ends a start that is still under way: nothing comes up afterwards', async () => {
    const world = new BranchWorld();
    let go = (): void => undefined;
    world.slowSysctl = new Promise((resolve) => {
      go = resolve;
    });
    const agent = await world.agent();
    const starting = agent.start();
    await world.seconds(0);
    const stopped = agent.stop();
    go();
    await Promise.all([starting, stopped]);
    await world.seconds(60);
    expect(world.addon.tunnels).toEqual([]);
    expect(world.kernel.inputs).toEqual([]);
    expect(world.clock.nextMs()).toBeUndefined();
  });

  it('is not undone by a reload that was under way', async () => {
    const { world, agent } = await started();
    let go = (): void => undefined;
    world.slowSysctl = new Promise((resolve) => {
      go = resolve;
    });
    const reload = agent.reload(branchConfig((yaml) => yaml.replace('198.51.100.20', '198.51.100.21')));
    const stopped = agent.stop();
    await world.seconds(1);
    await stopped;
    go();
    await reload;
    await world.seconds(60);
    expect(world.addon.tunnels).toHaveLength(2);
    expect(world.addon.tunnels.every(({ closed }) => closed)).toBe(true);
  });

  it('does not dial again while it says goodbye, even when a tunnel has just come up', async () => {
    const { world, agent } = await started({ heldKernel: true });
    const stopped = agent.stop();
    world.kernel.release();
    await world.seconds(3);
    await stopped;
    expect(agent.paths.map((path) => path.peers[0]?.view().counters.sessionsEstablished)).toEqual([0, 0]);
  });
});

/** Nothing may escape: a rejection that nobody handles or a throw from a timer ends a daemon. */
const escaped: unknown[] = [];
const note = (error: unknown): void => void escaped.push(error);
beforeEach(() => {
  escaped.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(() => {
  process.off('unhandledRejection', note);
  expect(escaped).toEqual([]);
});

async function started({
  heldKernel = false,
  silent = [] as string[],
} = {}): Promise<{ world: BranchWorld; agent: Agent }> {
  const world = new BranchWorld();
  for (const tunnel of silent) world.silent.add(tunnel);
  const agent = await world.agent();
  if (heldKernel) world.kernel.hold();
  await agent.start();
  await world.seconds(5);
  return { world, agent };
}
