import { describe, expect, it } from 'vitest';
import type { IkeHistoryView } from '../../src/admin/wire.ts';
import { manualBranch } from './branch-config.ts';
import { Capture } from './capture.ts';
import { eventually } from './eventually.ts';
import { RekeyedTunnel } from './rekeyed-tunnel.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';
import { ZoneGateway } from './zone-gateway.ts';

const CLASSIC = 'AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384';
const EXCHANGE = { intermediate: '43', followup: '44' };

describe.concurrent('pq: prefer', () => {
  it('falls back without delay against strongSwan, which has no ML-KEM, also in rekeys', async () => {
    const handshakes: Record<string, number> = {};
    for (const pq of ['off', 'prefer']) {
      const tunnel = await RekeyedTunnel.create({ ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' });
      try {
        await tunnel.up({ ike: { pq } });
        const first = (await tunnel.daemon.ikeHistory()).filter(({ exchange }) => exchange !== 'CREATE_CHILD_SA');
        expect(sorted(first).map(({ exchange, result }) => `${exchange} ${result}`)).toEqual([
          'IKE_SA_INIT ok',
          'IKE_AUTH ok',
        ]);
        handshakes[pq] = first.reduce((sum, { duration_ms }) => sum + duration_ms, 0);
        const [status] = await tunnel.daemon.tunnels();
        expect(status?.ike.suite).toBe(CLASSIC);
        for (const what of ['child', 'ike'] as const) {
          const before = await tunnel.settled();
          await tunnel.responder.rekey(what);
          await tunnel.rekeyed(what, before);
        }
        expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
        await tunnel.down();
      } finally {
        await tunnel.topology.remove();
      }
    }
    process.stderr.write(`handshake in ms: ${JSON.stringify(handshakes)}\n`);
    expect((handshakes['prefer'] ?? Number.NaN) - (handshakes['off'] ?? 0)).toBeLessThan(1_000);
  });

  it('meets the own gateway in ML-KEM-768, in fragments on the wire, first and in rekeys of both kinds', async () => {
    const topology = await Topology.create();
    const [zone] = topology.zones;
    try {
      const gateway = await ZoneGateway.start(zone);
      const capture = await Capture.start(topology, topology.namespace('branch'), 'wan0');
      const config = await manualBranch(topology, [zone], {
        ike: { pq: 'prefer', lifetime: '10s' },
        ipsec: { lifetime: '10s' },
      });
      const daemon = await Tunwrightd.start(topology, { config });
      const up = await daemon.waitUntil(
        'the tunnel is up',
        30_000,
        ({ links }) => links[0]?.tunnels[0]?.state === 'established',
      );
      expect(up.links[0]?.tunnels[0]?.ike.suite).toBe(`${CLASSIC}/ML_KEM_768`);
      const rekeys = await eventually('both kinds were rekeyed', 30_000, async () => {
        const followups = (await daemon.ikeHistory()).filter(({ exchange }) => exchange === 'IKE_FOLLOWUP_KE');
        const kinds = new Set(followups.map(({ proposal }) => proposal.includes('PRF')));
        return kinds.size === 2 && followups;
      });
      expect(rekeys.filter(({ result }) => result !== 'ok')).toEqual([]);
      const { sent, received } = await ping(topology.namespace('branch'), zone.bgp, {
        count: 3,
        source: ADDRESS.branchBgp,
      });
      expect([sent, received]).toEqual([3, 3]);
      await daemon.stop();
      expect(await gateway.stop()).toBe(0);
      await capture.stop();

      const fragments = await capture.fields('isakmp.nextpayload == 53', ['ip.src', 'isakmp.exchangetype', 'ip.len']);
      const seen = new Set(fragments.map(([source, exchange]) => `${source} ${exchange}`));
      for (const exchange of Object.values(EXCHANGE)) expect(seen).toContain(`${ADDRESS.branchPublic} ${exchange}`);
      const largest = Math.max(
        ...(await capture.fields('isakmp && !icmp', ['ip.len'])).map(([length]) => Number(length)),
      );
      expect(largest).toBeLessThanOrEqual(1_280);
    } finally {
      await topology.remove();
    }
  });
});

/** Oldest first. */
const sorted = (history: IkeHistoryView[]): IkeHistoryView[] =>
  history.toSorted((a, b) => a.time.localeCompare(b.time));
