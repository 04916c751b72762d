import { describe, expect, it } from 'vitest';
import { Alarms } from '../../../src/agent/alarms.ts';
import { EventLog } from '../../../src/agent/event-log.ts';
import { KernelSettings } from '../../../src/agent/kernel-settings.ts';
import { LeavingDevices } from '../../../src/agent/leaving-devices.ts';
import { type BgpAccept, Path, type PathDeps } from '../../../src/agent/path.ts';
import { Routing } from '../../../src/agent/routing.ts';
import { exportRoutes } from '../../../src/bgp/index.ts';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import type { IkeConfig } from '../../../src/ike/types.ts';
import { ip, prefix } from '../../../src/lib/ip.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { FakeAddon } from './fake-addon.ts';
import { FakeKernel } from './fake-kernel.ts';
import { FarEnds } from './far-ends.ts';
import { ManualClock } from './manual-clock.ts';
import { branchConfig, firstSpec } from './zone-peers.ts';

describe('Path', () => {
  it('dials through the tunnel once it is up and the kernel holds its routes', async () => {
    const { calls, run } = setUp();
    await run(2);
    expect(calls).toEqual(['tw0 setOutbound', 'routes up', 'dial fiber/1 169.254.21.2']);
  });

  it('on loss moves routes first, then ends BGP without waiting for anybody, then takes the carrier', async () => {
    const { calls, far, run } = setUp();
    await run(2);
    calls.length = 0;
    far.silent.add('198.51.100.20');
    far.hangUp('198.51.100.20');
    await run(0);
    expect(calls).toEqual(['routes down', 'abort', 'tw0 clearOutbound']);
  });

  it('dials anew when the tunnel is back', async () => {
    const { calls, far, run } = setUp();
    await run(2);
    far.hangUp('198.51.100.20');
    calls.length = 0;
    await run(120);
    expect(calls.filter((call) => call.startsWith('dial')).length).toBeGreaterThan(0);
    expect(calls.indexOf('routes up')).toBeLessThan(calls.findIndex((call) => call.startsWith('dial')));
  });

  it('listens while its device is there, and takes connections from its peers only', async () => {
    const { listeners, path, run } = setUp();
    await run(2);
    const transport = { write: nothing, end: nothing, abort: nothing };
    const [accept] = listeners.open;
    expect(accept?.(ip('169.254.21.3'), transport)).toBeUndefined();
    expect(accept?.(ip('169.254.21.2'), transport)).toBeDefined();
    path.stopTunnel();
    await run(0);
    expect(listeners.open).toEqual([]);
  });

  it('goes on where nobody can connect to it, and says so', async () => {
    const { calls, listeners, log, run } = setUp();
    listeners.refusal = 'bind: Address already in use';
    await run(2);
    expect(calls.at(-1)).toBe('dial fiber/1 169.254.21.2');
    const [said] = log.after(0).filter(({ kind }) => kind === 'bgp-listen-refused');
    expect(said).toMatchObject({
      level: 'warn',
      message: expect.stringMatching(/port 179 on tw0: bind: Address already/),
    });
  });

  it('warns of more exports than some gateways take, once for each number of them', () => {
    const { log, path } = setUp();
    const many = (count: number) =>
      exportRoutes(Array.from({ length: count }, (_, i) => prefix(`10.${i >> 8}.${i & 255}.0/24`)));
    for (const count of [1_000, 1_001, 1_001, 1_500, 3]) path.advertise(many(count));
    const warnings = log.after(0).filter(({ kind }) => kind === 'bgp-many-exports');
    expect(warnings.map(({ message }) => message.split(' ')[0])).toEqual(['1001', '1500']);
  });

  it('says an outage is an error, and an intended end is none', async () => {
    const levels = async (end: (all: ReturnType<typeof setUp>) => void): Promise<unknown> => {
      const all = setUp();
      await all.run(2);
      end(all);
      await all.run(0);
      return all.log.after(0).find(({ kind }) => kind === 'tunnel-down')?.level;
    };
    expect(await levels(({ far }) => far.hangUp('198.51.100.20'))).toBe('error');
    expect(
      await levels(({ path }) => {
        path.stopSessions('the link was changed or removed');
        path.stopTunnel();
      }),
    ).toBe('info');
  });

  it('raises an alarm within a minute when the peer has another PFS group, and takes it back with the tunnel', async () => {
    const { alarms, path, run } = setUp({
      espSuites: [{ encryption: 'gcmAes256', pfsGroup: 14 }],
      acceptPfsGroups: [14],
    });
    await run(2);
    expect(alarms.list()).toEqual([]);
    await run(58);
    expect(path.tunnel.children.length).toBeGreaterThan(0);
    expect(alarms.list()).toMatchObject([
      { code: 'rekey-fiber/1', severity: 'warning', message: expect.stringMatching(/PFS/) },
    ]);
    path.stopSessions('stopping');
    path.stopTunnel();
    expect(alarms.list()).toEqual([]);
  });

  it('counts what an SA carries; an alarm tells of a limit that traffic outruns, until it does so no more', async () => {
    const { addon, alarms, log, path, run } = setUp({}, (yaml) =>
      yaml.replace('lifetime: 1h,', 'lifetime: 1h, lifetime_bytes: 1GB,'),
    );
    await run(20);
    const rekeys = () =>
      log.history({ tunnel: undefined, limit: 99 }).filter(({ exchange }) => exchange === 'CREATE_CHILD_SA');
    // The proof of PFS.
    expect(rekeys()).toHaveLength(1);
    for (let second = 1; second <= 12; second++) {
      const counters = addon.last.outboundCounters.at(-1);
      if (counters === undefined) throw new Error('no SA was installed');
      counters[1] = BigInt(second * 500_000_000);
      await run(1);
    }
    expect(alarms.list()).toMatchObject([
      {
        code: 'lifetime-fiber/1',
        severity: 'warning',
        message: expect.stringMatching(/carried its 1 GB in \d\.\d s.* allow \d+ GB or more$/),
      },
    ]);
    expect(rekeys()).toHaveLength(2);
    await run(60);
    expect(alarms.list()).toEqual([]);
    expect(path.tunnel.ike?.child).toMatchObject({ rekeyInOctets: expect.any(Number) });
  });

  it('leaves nothing of itself in routing when it stops', async () => {
    const { kernel, path, routing, run } = setUp();
    await run(2);
    path.stopSessions('stopping');
    path.stopTunnel();
    await run(0);
    expect(routing.received('169.254.21.2')).toBeUndefined();
    expect(kernel.inputs.at(-1)?.tunnels).toEqual([]);
  });
});

class RecordingRouting extends Routing {
  readonly calls: string[];
  constructor(deps: ConstructorParameters<typeof Routing>[0], calls: string[]) {
    super(deps);
    this.calls = calls;
  }
  override setUp(tunnelInterface: string, up: boolean): Promise<void> {
    this.calls.push(`routes ${up ? 'up' : 'down'}`);
    return super.setUp(tunnelInterface, up);
  }
}

function setUp(gateway: Partial<IkeConfig> = {}, change?: (yaml: string) => string) {
  const clock = new ManualClock();
  const log = new EventLog(() => clock.wall());
  const deviceCalls: string[] = [];
  const calls: string[] = [];
  const addon = new FakeAddon(deviceCalls);
  deviceCalls.push = (...words) => (/Outbound$/.test(words[0] ?? '') ? calls.push(...words) : 0);
  const far = new FarEnds(addon, clock, gateway);
  const kernel = new FakeKernel();
  const routing = new RecordingRouting({ clock, log, plan: kernel.plan, applier: kernel }, calls);
  const sysctl = { set: async () => undefined, restore: async () => undefined };
  const alarms = new Alarms(() => clock.wall());
  const listeners: { open: BgpAccept[]; refusal: string | undefined } = { open: [], refusal: undefined };
  const deps: PathDeps = {
    addon: addon.asAddon,
    alarms,
    clock,
    crypto: nodeCrypto,
    dial: (spec, { peerAddress }) => {
      calls.push(`dial ${spec.name} ${peerAddress.bytes.join('.')}`);
      return { write: nothing, end: nothing, abort: () => void calls.push('abort') };
    },
    listen: async (_, accept) => {
      if (listeners.refusal !== undefined) throw new Error(listeners.refusal);
      listeners.open.push(accept);
      return { close: () => void listeners.open.splice(listeners.open.indexOf(accept), 1) };
    },
    openEcho: () => ({ request: nothing, close: nothing }),
    kernel: new KernelSettings(sysctl, alarms, log),
    keyExport: undefined,
    log,
    leaving: new LeavingDevices(),
    outside: { sighted: nothing, lost: nothing },
    random: new SeededRandom(1),
    routing,
    wanAddress: () => ip('192.0.2.10'),
  };
  const path = new Path(firstSpec(branchConfig(change)), deps);
  const run = async (seconds: number): Promise<void> => {
    path.tick(clock.now());
    for (let i = 0; i < seconds; i++) {
      await clock.advance(1_000);
      path.tick(clock.now());
    }
    await clock.advance(10);
  };
  return { addon, alarms, calls, far, kernel, listeners, log, path, routing, run };
}

const nothing = (): void => undefined;
