import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { RekeyedTunnel } from './rekeyed-tunnel.ts';
import { SOAK } from './soak.ts';
import type { StrongSwanOptions } from './strongswan.ts';

const PACKETS_PER_SECOND = 500;
const LONG = { ike: { lifetime: '12h' }, ipsec: { lifetime: '12h' } };
const SUITE = { ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' };
const REKEYS = SOAK ? 10 : 1;
const timeout = SOAK ? 300_000 : 90_000;

describe('lifetimes by volume, against strongSwan and under traffic', () => {
  it.each([
    // The least that rekeys keep apart is 10 s.
    ['lifetime_packets', { lifetime_packets: 6_500 }],
    ['lifetime_bytes', { lifetime_bytes: '1MB' }],
  ])('our %s ends in rekeys of ours that lose nothing', { timeout }, (_, limit) =>
    withTunnel(SUITE, async (tunnel) => {
      await tunnel.up({ ...LONG, ipsec: { ...LONG.ipsec, ...limit } });
      const streams = await tunnel.streams(PACKETS_PER_SECOND);
      await rekeysBegun(tunnel, 'out');
      const [sa] = await tunnel.daemon.sas();
      const left = 'lifetime_bytes' in limit ? sa?.rekey_in_bytes : sa?.rekey_in_packets;
      expect(left).toBeLessThan(1_000_000);
      for (const result of await streams.stop()) expect(result).toMatchObject({ lost: 0, duplicated: 0, missing: [] });
      await tunnel.settled();
    }),
  );

  it.each([
    'rekey_packets = 4000\n life_packets = 9000\n rand_packets = 0',
    'rekey_bytes = 400000\n life_bytes = 900000\n rand_bytes = 0',
  ])("the peer's own limit (%s) ends in rekeys of its own that lose nothing", { timeout }, (child) =>
    withTunnel({ ...SUITE, child }, async (tunnel) => {
      await tunnel.up(LONG);
      const streams = await tunnel.streams(PACKETS_PER_SECOND);
      await rekeysBegun(tunnel, 'in');
      for (const result of await streams.stop()) expect(result).toMatchObject({ lost: 0, duplicated: 0, missing: [] });
      await tunnel.settled();
    }),
  );
});

describe('what strongSwan may do in its own rekey', () => {
  it.each([
    ['any group that we speak', undefined],
    ['none but ours', ['ecp384']],
  ])('accept_pfs: %s', { timeout }, (_, accept_pfs) =>
    withTunnel({ ...SUITE, esp: 'aes256gcm16-ecp256' }, async (tunnel) => {
      await tunnel.up({ ...LONG, ipsec: { ...LONG.ipsec, ...(accept_pfs && { accept_pfs }) } });
      const before = await tunnel.settled();
      await tunnel.responder.rekey('child');
      const row = await eventually('the history tells of it', 10_000, async () =>
        (await tunnel.daemon.ikeHistory()).find(
          ({ exchange, direction }) => exchange === 'CREATE_CHILD_SA' && direction === 'in',
        ),
      );
      if (accept_pfs === undefined) {
        expect(row).toMatchObject({ result: 'ok', proposal: 'AES_GCM_16_256/ECP_256' });
        await tunnel.rekeyed('child', before);
      } else {
        expect(row).toMatchObject({ result: 'failed', proposal_peer: expect.stringMatching(/ECP_256/) });
        expect(row.proposal_local).toMatch(
          /^AES_GCM_16_256\/ECP_384\/ESN\+NO_ESN$|^AES_GCM_16_256\/ECP_384\/ESN\+NO_ESN, /,
        );
        expect(row.reason).toMatch(/\(here vs there: group ECP_384 vs ECP_256\)$/);
        expect(row.notify.sent).toContain('NO_PROPOSAL_CHOSEN');
      }
      expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
    }),
  );
});

/** Waits for some rekeys of the CHILD_SA that one end began. */
async function rekeysBegun(tunnel: RekeyedTunnel, direction: 'in' | 'out'): Promise<void> {
  await eventually(`${REKEYS} rekeys ${direction}`, SOAK ? 240_000 : 60_000, async () => {
    const rekeys = await tunnel.rekeys();
    return rekeys.filter((rekey) => rekey.what === 'child' && rekey.direction === direction).length >= REKEYS;
  });
}

async function withTunnel(
  changes: Pick<StrongSwanOptions, 'ike' | 'esp' | 'child'>,
  body: (tunnel: RekeyedTunnel) => Promise<void>,
): Promise<void> {
  const tunnel = await RekeyedTunnel.create();
  try {
    await tunnel.responder.reconfigure(changes);
    await body(tunnel);
    await tunnel.down();
  } finally {
    await tunnel.topology.remove();
  }
}
