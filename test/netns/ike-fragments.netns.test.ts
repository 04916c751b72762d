import { describe, expect, it } from 'vitest';
import { Capture } from './capture.ts';
import { eventually } from './eventually.ts';
import { openUntilCookie } from './half-open.ts';
import { RekeyedTunnel, SUITE } from './rekeyed-tunnel.ts';
import { ADDRESS } from './topology.ts';

/** The least that each end takes; then IKE_AUTH and every rekey need two packets or more. */
const FRAGMENT_SIZE = { ours: 256, theirs: 220 };
const EXCHANGES = { auth: '35', createChild: '36' };

describe.concurrent('against strongSwan', () => {
  it('handshake and rekeys from both ends work in fragments, in both directions', () =>
    withTunnel({ fragmentSize: FRAGMENT_SIZE.theirs }, async (tunnel) => {
      const branch = tunnel.topology.namespace('branch');
      const capture = await Capture.start(tunnel.topology, branch, 'wan0');
      await tunnel.up({ ike: { lifetime: '10s', fragment_size: FRAGMENT_SIZE.ours }, ipsec: { lifetime: '10s' } });
      for (const what of ['child', 'ike'] as const) {
        const before = await tunnel.inUse();
        if (before === undefined) throw new Error('the ends do not agree');
        await tunnel.responder.rekey(what);
        await tunnel.rekeyed(what, before);
      }
      await eventually('both ends have rekeyed both kinds', 20_000, async () => {
        const seen = new Set((await tunnel.rekeys()).map(({ what, direction }) => `${what} ${direction}`));
        return seen.size === 4;
      });
      expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
      await tunnel.down();
      await capture.stop();

      const fragments = await capture.fields('isakmp.nextpayload == 53', ['ip.src', 'isakmp.exchangetype', 'ip.len']);
      const from = new Set(fragments.map(([source, exchange]) => `${source} ${exchange}`));
      const ends = [ADDRESS.branchPublic, tunnel.topology.zones[0].endpoint];
      for (const end of ends)
        for (const exchange of Object.values(EXCHANGES)) expect(from).toContain(`${end} ${exchange}`);
      const all = await capture.fields('isakmp && isakmp.exchangetype != 34', ['ip.src', 'ip.len']);
      const largest = (source: string) =>
        Math.max(...all.filter(([s]) => s === source).map(([, length]) => Number(length)));
      expect(largest(ADDRESS.branchPublic)).toBeLessThanOrEqual(FRAGMENT_SIZE.ours);
      expect(largest(tunnel.topology.zones[0].endpoint)).toBeLessThanOrEqual(FRAGMENT_SIZE.theirs);
    }));

  it('the daemon connects while cookies are demanded', () =>
    withTunnel({}, async (tunnel) => {
      const namespace = tunnel.topology.namespace('branch');
      const { endpoint } = tunnel.topology.zones[0];
      const opened = await openUntilCookie({ namespace, local: ADDRESS.branchPublic, remote: endpoint });
      expect(opened).toBeGreaterThan(1);
      await tunnel.up({});
      const retries = (await tunnel.daemon.ikeHistory()).filter(({ result }) => result === 'retry');
      expect(retries.map(({ reason }) => reason)).toContain('the peer asked for its cookie');
      expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
      await tunnel.daemon.stop();
    }));
});

async function withTunnel(
  options: Parameters<typeof RekeyedTunnel.create>[0],
  body: (tunnel: RekeyedTunnel) => Promise<void>,
): Promise<void> {
  const tunnel = await RekeyedTunnel.create({ ...SUITE, ...options });
  try {
    await body(tunnel);
  } finally {
    await tunnel.topology.remove();
  }
}
