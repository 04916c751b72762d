import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { statusView } from '../../src/admin/views/status.ts';
import { ip } from '../../src/lib/ip.ts';
import { BranchWorld } from '../unit/agent/branch-world.ts';
import { refusal } from '../unit/agent/fake-addon.ts';
import { branchConfig } from '../unit/agent/zone-peers.ts';
import { SeededRandom } from './clock.ts';

const ENDPOINTS = ['198.51.100.20', '198.51.100.84'] as const;
const SPEAKERS = ['169.254.21.2', '169.254.22.2'] as const;
const FAULTY_CALLS = ['openTunnel', 'addInbound', 'setOutbound', 'sendIke', 'clearOutbound'] as const;
const MINUTES = 30;

/** Nothing may escape: a rejection that nobody handles ends a daemon. */
const escaped: unknown[] = [];
const note = (error: unknown): void => void escaped.push(error);
beforeEach(() => {
  escaped.length = 0;
  process.on('unhandledRejection', note);
});
afterEach(() => void process.off('unhandledRejection', note));

describe('a branch in half an hour of trouble', () => {
  it.each([1, 2, 3, 4, 5, 6])('never falls over, and is whole again two minutes after it (seed %i)', async (seed) => {
    const random = new SeededRandom(seed);
    const world = new BranchWorld();
    const agent = await world.agent();
    await agent.start();
    for (let second = 0; second < MINUTES * 60; second += 5) {
      trouble(world, random, agent.reload.bind(agent));
      await world.seconds(5);
      expectOneDeviceEach(world);
      statusView(agent);
    }

    calm(world);
    await agent.reload(branchConfig());
    await world.seconds(120);
    const status = statusView(agent);
    expect(status.links.flatMap(({ tunnels }) => tunnels.map(({ reason }) => reason))).toEqual([null, null]);
    expect(status.health).toBe('ok');
    expect(world.upTunnels).toEqual(['tw0', 'tw1']);
    expect(world.routes).toContain('52.96.0.0/14 via tw0 tw1');

    const stopped = agent.stop();
    await world.seconds(5);
    await stopped;
    expect(world.addon.tunnels.every(({ closed }) => closed)).toBe(true);
    expect(escaped).toEqual([]);
  });
});

/** One thing breaks, or is mended, or nothing happens. */
function trouble(
  world: BranchWorld,
  random: SeededRandom,
  reload: (config: ReturnType<typeof branchConfig>) => unknown,
) {
  const pick = <T>(items: readonly [T, ...T[]]): T => items[Math.floor(random.fraction() * items.length)] ?? items[0];
  const events: [() => void, ...(() => void)[]] = [
    () => world.far.hangUp(pick(ENDPOINTS)),
    () => void world.far.silent.add(pick(ENDPOINTS)),
    () => world.far.silent.clear(),
    () => void world.deaf.add(pick(SPEAKERS)),
    () => world.deaf.clear(),
    () => void world.addon.failing.set(pick(FAULTY_CALLS), refusal('EPERM', 'ioctl')),
    () => world.addon.failing.clear(),
    () => world.addon.tunnels.at(-1)?.emit({ kind: 'failed', code: 'ENODEV', syscall: 'read' }),
    () => void world.wans.delete('eth0'),
    () => void world.wans.set('eth0', ip(pick(['192.0.2.10', '192.0.2.77']))),
    () => void reload(branchConfig((yaml) => yaml.replace('dpd: 10s', pick(['dpd: 10s', 'dpd: 15s'])))),
    () => undefined,
  ];
  pick(events)();
}

function calm(world: BranchWorld): void {
  world.far.silent.clear();
  world.deaf.clear();
  world.addon.failing.clear();
  world.wans.set('eth0', ip('192.0.2.10'));
}

function expectOneDeviceEach(world: BranchWorld): void {
  const open = world.addon.tunnels.filter(({ closed }) => !closed).map(({ options }) => options.interface);
  expect(new Set(open).size).toBe(open.length);
}
