import { expect, it } from 'vitest';
import { ADMITTED_CIPHERS } from './ciphers.ts';
import { withTunnel } from './rekeyed-tunnel.ts';

const PACKETS_PER_SECOND = 500;

it(
  'a daemon told to use vaes carries packets to strongSwan over rekeys, or says why OpenSSL does',
  {
    timeout: 60_000,
  },
  () =>
    withTunnel({ dataPlane: { cipher: 'vaes' } }, async (tunnel) => {
      let sas = await tunnel.settled();
      const streams = await tunnel.streams(PACKETS_PER_SECOND);
      await streams.flow();
      for (const what of ['child', 'ike', 'child'] as const) {
        await tunnel.responder.rekey(what);
        sas = await tunnel.rekeyed(what, sas);
      }
      const [branch, zone] = await tunnel.kernelDrops();
      for (const { sent, lost, duplicated } of await streams.stop()) {
        expect(sent).toBeGreaterThan(PACKETS_PER_SECOND / 4);
        expect(lost).toBeLessThanOrEqual(branch.udp + branch.tun + zone.udp + zone.tun);
        expect(duplicated).toBe(0);
      }
      const refusals = tunnel.daemon.log.filter(({ evt }) => evt === 'cipher-refused');
      expect(refusals).toHaveLength(ADMITTED_CIPHERS.includes('vaes') ? 0 : 1);
    }),
);
