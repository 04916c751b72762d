import { availableParallelism } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tuning } from '../../src/io/data-plane.ts';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { figure, SOAK } from './soak.ts';
import { StaticTunnel } from './static-tunnel.ts';

const LOAD_KPPS = 50;
const LOAD_OCTETS = 200;
const SWITCHES = SOAK ? 1_000 : 20;
/** Share of a processor that a thread without packets may use. */
const IDLE_SHARE = 0.005;
const IDLE_MS = 2_000;

const tuning = (threads: number, busyPollUs = 0): Tuning => ({ threads, processors: [], busyPollUs });
const namesOf = (threads: number): string[] => (threads === 1 ? ['tw-tw0'] : ['rx-tw0', 'tx-tw0']);

describe.each([
  ['one thread for both directions', tuning(1)],
  ['a thread for each direction', tuning(2)],
  ['two threads that send', tuning(3)],
  ['a thread that looks for packets before it sleeps', tuning(1, 50)],
])('a tunnel with %s', (_, options) => {
  let tunnel: StaticTunnel;
  beforeAll(async () => {
    // a thread that a busy machine keeps waiting sends late what it has numbered: 4,096 packets are 40 ms at 100,000 a second
    tunnel = await StaticTunnel.create({ tuning: options, replayWindow: 65_536 });
  });
  afterAll(() => tunnel?.remove());

  it('has these threads, which use next to nothing while there is nothing to do', async () => {
    const schedules = () =>
      Promise.all(namesOf(options.threads).map((name) => tunnel.near.schedule(name))).then((all) => all.flat());
    const before = await schedules();
    expect(before).toHaveLength(options.threads);
    const start = performance.now();
    await wait(IDLE_MS);
    const elapsedMs = performance.now() - start;
    for (const [i, { ranNs }] of (await schedules()).entries()) {
      expect((ranNs - (before[i]?.ranNs ?? 0)) / 1e6 / elapsedMs).toBeLessThan(IDLE_SHARE);
    }
  });

  it('carries TCP both ways at once without a packet that is not whole, authentic and new', async () => {
    // As many streams as make it certain that each thread has some.
    expect(await tunnel.tcp(['-P', '16', '--bidir'])).toBeGreaterThan(20_000_000);
    for (const { ranNs } of await tunnel.near.schedule(namesOf(options.threads).at(-1) ?? '')) {
      expect(ranNs).toBeGreaterThan(20_000_000);
    }
    for (const end of [tunnel.near, tunnel.far]) {
      const { tunnel: seen } = await end.counters();
      expect(seen).toMatchObject({ rx_drop_malformed: 0, rx_drop_auth: 0, rx_drop_replay: 0, rx_drop_no_sa: 0 });
      expect(seen).toMatchObject({ tx_drop_malformed: 0, tx_drop_too_big: 0, tx_drop_sequence: 0 });
    }
  });

  it(`switches SAs under ${LOAD_KPPS},000 packets a second without losing, repeating or reordering one`, async () => {
    const before = await tunnel.kernelDrops();
    const total = { sent: 0, received: 0, reordered: 0, switches: 0 };
    while (total.switches < SWITCHES) {
      let loading = true;
      const load = tunnel.load(LOAD_KPPS * 1000, LOAD_OCTETS, 3).finally(() => {
        loading = false;
      });
      for (; loading; total.switches += 1) await tunnel.rekey();
      const { sent, received, reordered } = await load;
      total.sent += sent;
      total.received += received;
      total.reordered += reordered;
    }
    const lost = total.sent - total.received - ((await tunnel.kernelDrops()) - before);
    figure(`SA switches, ${options.threads} threads`, { ...total, lost });
    expect({ lost, reordered: total.reordered }).toEqual({ lost: 0, reordered: 0 });
    const { tunnel: seen } = await tunnel.far.counters();
    expect(seen).toMatchObject({ rx_drop_no_sa: 0, rx_drop_replay: 0, rx_drop_auth: 0 });
  });

  it('stops at once', async () => {
    expect(await tunnel.near.close()).toBeLessThan(100);
    for (const name of namesOf(options.threads)) expect(await tunnel.near.threads(name)).toBe(0);
  });
});

describe('the carrier of a tunnel', () => {
  let tunnel: StaticTunnel;
  beforeAll(async () => {
    tunnel = await StaticTunnel.create();
  });
  afterAll(() => tunnel?.remove());
  const link = () => run('ip', ['-n', tunnel.near.namespace, 'link', 'show', 'tw0']);
  const comes = () => eventually('the device has carrier', 2_000, async () => (await link()).includes('LOWER_UP'));
  const goes = () => eventually('the device lost it', 2_000, async () => (await link()).includes('NO-CARRIER'));

  it('is there while there is an SA to send through', async () => {
    await comes();
    tunnel.near.command('clear');
    await goes();
    tunnel.near.command('restore');
    await comes();
  });

  it('goes when the sequence numbers of the SA end, with the last packet, and comes with the next SA', async () => {
    tunnel.near.command('restore 4294967285');
    await comes();
    await run('ping', ['-c', '20', '-i', '0.01', '-W', '1', '10.0.0.2'], { namespace: tunnel.near.namespace }).catch(
      () => undefined,
    );
    await goes();
    const { outbound } = await tunnel.near.counters();
    expect(outbound.sequence).toBe(0xffff_fffe);
    await tunnel.rekey();
    await comes();
  });

  it('goes with the process, however that ends', async () => {
    process.kill(tunnel.near.pid ?? 0, 'SIGKILL');
    await eventually(
      'the device is gone',
      2_000,
      async () => !(await run('ip', ['-n', tunnel.near.namespace, '-o', 'link'])).includes('tw0'),
    );
  });
});

describe('the processors of a tunnel', () => {
  it('are the ones it was given, in turn', async () => {
    const last = availableParallelism() - 1;
    const tunnel = await StaticTunnel.create({ tuning: { threads: 2, processors: [last, 0], busyPollUs: 0 } });
    try {
      expect(await tunnel.near.schedule('rx-tw0')).toMatchObject([{ processors: `${last}` }]);
      expect(await tunnel.near.schedule('tx-tw0')).toMatchObject([{ processors: '0' }]);
    } finally {
      await tunnel.remove();
    }
  });

  it('are refused, without a thread or a device left, when the machine does not have them', async () => {
    const options = { tuning: { threads: 2, processors: [1023], busyPollUs: 0 } };
    await expect(StaticTunnel.create(options)).rejects.toThrow('sched_setaffinity: Invalid argument');
  });
});
