import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { StatusView } from '../../src/admin/wire.ts';
import { manualBranch, PSK } from './branch-config.ts';
import { Capture } from './capture.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';

/** 8 IKE suites use all ciphers and hashes; both ESP key lengths are among them. */
const SUITES = [
  { ike: 'mix1', ipsec: 'mix1' },
  { ike: 'mix3', ipsec: 'mix4' },
  { ike: 'mix8', ipsec: 'mix6' },
];
const PINGS = 10;

describe('tshark with the exported keys', () => {
  let topology: Topology | undefined;
  afterEach(() => topology?.remove());

  it.each(SUITES)('verifies and decrypts every IKE and ESP packet of $ike, $ipsec', async (suites) => {
    topology = await Topology.create();
    const [zone] = topology.zones;
    const branch = topology.namespace('branch');
    await StrongSwan.start(topology, 'zone1', {
      namespace: zone.namespace,
      local: zone.endpoint,
      remoteId: ADDRESS.branchPublic,
      psk: PSK,
      routes: [ADDRESS.branchBgp],
    });
    const keys = join(topology.directory, 'keys');
    const config = await manualBranch(topology, [zone], {
      ike: { suite: suites.ike },
      ipsec: { suite: suites.ipsec },
      bgp: { echo: false }, // whose packets would count
      top: { debug: { export_keys: keys } },
    });
    const capture = await Capture.start(topology, branch, 'wan0');
    const daemon = await Tunwrightd.start(topology, { config, args: ['--allow-key-export'] });
    // nobody speaks BGP there: all below that works, the route to the speaker included
    const isUp = ({ links }: StatusView) => /^bgp/.test(links[0]?.tunnels[0]?.first_broken_layer ?? '');
    await daemon.waitUntil('the tunnel is up', 15_000, isUp);
    const pinged = await ping(branch, zone.bgp, { count: PINGS, source: ADDRESS.branchBgp });
    expect(pinged.received).toBe(PINGS);
    await daemon.stop();
    await capture.stop();

    const ike = await capture.packets('isakmp.exchangetype != 34', keys);
    expect(ike.length).toBeGreaterThanOrEqual(4);
    for (const packet of ike) expect(packet).toMatch(/^ +Integrity Checksum Data: .*\[correct\]$/m);
    expect(ike.join('\n')).toContain('Payload: Identification - Initiator');

    const esp = await capture.packets('esp', keys);
    expect(esp.length).toBeGreaterThanOrEqual(2 * PINGS);
    for (const packet of esp) expect(packet).toMatch(/^ +ESP ICV: .*\[correct\]$/m);
    expect(esp.filter((packet) => packet.includes('Internet Control Message Protocol\n'))).toHaveLength(2 * PINGS);
  });
});
