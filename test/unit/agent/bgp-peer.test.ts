import { describe, expect, it } from 'vitest';
import { BgpPeer, type BgpPeerEvents, type BgpTransport } from '../../../src/agent/bgp-peer.ts';
import { exportRoutes } from '../../../src/bgp/index.ts';
import { formatKey, type PrefixKey, prefix } from '../../../src/lib/ip.ts';
import { CPE, seededRandom, ZONE } from '../../sim/bgp-pair.ts';
import { ManualClock } from './manual-clock.ts';
import { connectPipe } from './tcp-pipe.ts';

describe('BgpPeer', () => {
  it('comes up over the connection it dials, and tells the routes in both directions', async () => {
    const { clock, cpe, zone, said } = setUp();
    zone.advertise(exportRoutes([prefix('52.96.0.0/14')]));
    cpe.advertise(exportRoutes([prefix('10.1.20.0/24')]));
    zone.start();
    cpe.start();
    await clock.advance(1_000);
    expect([cpe.view().state, zone.view().state]).toEqual(['established', 'established']);
    expect(said.cpe).toEqual(['up', '+52.96.0.0/14', 'bgp-end-of-rib']);
    expect(said.zone).toEqual(['up', '+10.1.20.0/24', 'bgp-end-of-rib']);
  });

  it('dials again while nobody answers, and says why there is no session', async () => {
    const { clock, cpe, dials } = setUp({ listening: false });
    cpe.start();
    await clock.advance(300_000);
    expect(dials.count).toBeGreaterThan(2);
    expect(cpe.view().lastError).toContain('ECONNREFUSED');
    expect(cpe.idle).toBe(true);
  });

  it('says Cease with its reason when it stops, and is idle when the connection has closed', async () => {
    const { clock, cpe, zone, said } = setUp();
    await establish(clock, cpe, zone);
    cpe.stop(2, 'tunwright is stopping');
    expect(cpe.idle).toBe(false);
    await clock.advance(100);
    expect(cpe.idle).toBe(true);
    expect(said.zone.at(-1)).toMatch(/^down .*administrative shutdown.*tunwright is stopping/i);
    await clock.advance(600_000);
    expect(cpe.view().state).toBe('idle');
  });

  it('cuts its connections at once when their path is gone', async () => {
    const { clock, cpe, zone, aborted } = setUp();
    await establish(clock, cpe, zone);
    cpe.stop(6, 'tunnel down', true);
    expect(aborted.count).toBe(1);
    await clock.advance(100);
    expect(cpe.idle).toBe(true);
  });

  it('starts again after a stop, and announces what it was told before', async () => {
    const { clock, cpe, zone, said } = setUp();
    cpe.advertise(exportRoutes([prefix('10.1.20.0/24')]));
    await establish(clock, cpe, zone);
    cpe.stop(6, 'tunnel down', true);
    await clock.advance(100);
    said.zone.length = 0;
    cpe.start();
    await clock.advance(300_000);
    expect(said.zone).toContain('+10.1.20.0/24');
  });

  it('does nothing after close', async () => {
    const { clock, cpe, zone, said, dials } = setUp();
    await establish(clock, cpe, zone);
    const before = [dials.count, said.cpe.length];
    cpe.close();
    await clock.advance(600_000);
    expect([dials.count, said.cpe.length, cpe.idle]).toEqual([...before, true]);
  });

  it('starts over after a mistake of our own: routes void at once, a new session after half a minute', async () => {
    const { clock, cpe, zone, said, dials, failOnRoutes } = setUp();
    cpe.advertise(exportRoutes([prefix('10.1.20.0/24')]));
    await establish(clock, cpe, zone);
    failOnRoutes.now = true;
    zone.advertise(exportRoutes([prefix('52.96.0.0/14')]));
    await clock.advance(29_000);
    expect(said.cpe.at(-1)).toBe('down internal error; the log has the details');
    expect(said.cpe.join()).toContain('bgp-internal-error');
    expect(dials.count).toBe(1);

    failOnRoutes.now = false;
    said.zone.length = 0;
    await clock.advance(300_000);
    expect(cpe.view().state).toBe('established');
    expect(said.cpe).toContain('+52.96.0.0/14');
    expect(said.zone).toContain('+10.1.20.0/24');
  });

  it('does not come back from a mistake when it was stopped meanwhile', async () => {
    const { clock, cpe, zone, dials, failOnRoutes } = setUp();
    await establish(clock, cpe, zone);
    failOnRoutes.now = true;
    zone.advertise(exportRoutes([prefix('52.96.0.0/14')]));
    await clock.advance(1_000);
    cpe.stop(2, 'tunwright is stopping');
    await clock.advance(600_000);
    expect(dials.count).toBe(1);
  });
});

function setUp({ listening = true } = {}) {
  const clock = new ManualClock();
  const said = { cpe: [] as string[], zone: [] as string[] };
  const dials = { count: 0 };
  const aborted = { count: 0 };
  const failOnRoutes = { now: false };
  const never = (): never => {
    throw new Error('the zone does not dial');
  };
  const zone = new BgpPeer({ ...ZONE, passive: true }, deps(clock, 2), never, recorder(said.zone));
  const dial = (handlers: Parameters<typeof connectPipe>[0]): BgpTransport => {
    dials.count++;
    const transport = connectPipe(handlers, listening ? (far) => zone.accept(far) : undefined);
    return {
      ...transport,
      abort: () => {
        aborted.count++;
        transport.abort();
      },
    };
  };
  const events = recorder(said.cpe);
  const onRoutes: BgpPeerEvents['onRoutes'] = (routes) => {
    if (failOnRoutes.now) throw new RangeError('a bug in routing');
    events.onRoutes(routes);
  };
  const cpe = new BgpPeer(CPE, deps(clock, 1), dial, { ...events, onRoutes });
  return { clock, cpe, zone, said, dials, aborted, failOnRoutes };
}

const deps = (clock: ManualClock, seed: number) => ({ clock, random: seededRandom(seed) });

async function establish(clock: ManualClock, cpe: BgpPeer, zone: BgpPeer): Promise<void> {
  zone.start();
  cpe.start();
  await clock.advance(1_000);
  expect(cpe.view().state).toBe('established');
}

function recorder(said: string[]): BgpPeerEvents {
  const each = (sign: string, keys: readonly PrefixKey[]) => keys.map((key) => `${sign}${formatKey(key)}`);
  return {
    onUp: () => said.push('up'),
    onDown: (reason) => said.push(`down ${reason}`),
    onRoutes: ({ announced, withdrawn }) => {
      const prefixes = announced.flatMap((routes) => routes.prefixes);
      said.push(...each('+', prefixes), ...each('-', withdrawn));
    },
    onLog: (event) => said.push(event),
  };
}
