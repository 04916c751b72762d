import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { manualBranch } from './branch-config.ts';
import { Capture } from './capture.ts';
import { eventually } from './eventually.ts';
import { ADDRESS, Topology } from './topology.ts';
import { ping } from './traffic.ts';
import { Tunwrightd } from './tunwrightd.ts';
import { ZoneGateway } from './zone-gateway.ts';

const PINGS = 10;

const CASES = [
  { encap: 'esp', nat: false, travels: 'esp', onTheWire: 'ip.proto == 50', never: 'udp.port == 4500 && esp' },
  { encap: 'esp', nat: true, travels: 'udp', onTheWire: 'udp.port == 4500 && esp', never: 'ip.proto == 50' },
  { encap: 'auto', nat: false, travels: 'udp', onTheWire: 'udp.port == 4500 && esp', never: 'ip.proto == 50' },
] as const;

describe('the encapsulation of ESP', () => {
  let topology: Topology | undefined;
  let gateway: ZoneGateway | undefined;
  afterEach(async () => {
    await gateway?.stop();
    await topology?.remove();
  });

  it.each(CASES)('is $travels with encap: $encap and a NAT: $nat, which tshark verifies', async (row) => {
    topology = await Topology.create({ nat: row.nat });
    const [zone] = topology.zones;
    // A veth carries trains of datagrams uncut, and tcpdump would take each for one datagram.
    for (const node of ['branch', 'zone1'] as const) await topology.ip(node, 'link set wan0 gso_max_segs 1');
    gateway = await ZoneGateway.start(zone);
    const keys = join(topology.directory, 'keys');
    const config = await manualBranch(topology, [zone], {
      ike: { encap: row.encap },
      // tshark leaves the high half of extended sequence numbers out of the ICV; Scapy judges those (raw-esp).
      ipsec: { esn: 'off' },
      top: { debug: { export_keys: keys } },
    });
    const capture = await Capture.start(topology, topology.namespace('branch'), 'wan0');
    const daemon = await Tunwrightd.start(topology, { config, args: ['--allow-key-export'] });
    await daemon.healthy();
    const client = topology.namespace('client');
    await eventually('the gateway knows the way back', 5_000, async () => {
      return (await ping(client, '52.96.0.1', { count: 1 })).received === 1;
    });
    const pinged = await ping(client, '52.96.0.1', { count: PINGS, intervalMs: 20 });
    expect(pinged).toMatchObject({ sent: PINGS, received: PINGS });
    expect(await daemon.sas()).toMatchObject([{ encap: row.travels, drops: { replay: 0, auth: 0 } }]);
    expect(await daemon.tunnels()).toMatchObject([{ encap: row.travels, ike: { nat: { local: row.nat } } }]);
    await daemon.stop();
    await capture.stop();

    const esp = await capture.packets(row.onTheWire, keys);
    expect(esp.length).toBeGreaterThan(2 * PINGS);
    for (const packet of esp) expect(packet).toMatch(/^ +ESP ICV: .*\[correct\]$/m);
    const echoes = esp.filter((packet) => /Internet Control Message Protocol\n/.test(packet));
    expect(echoes.filter((packet) => packet.includes(`Src: ${ADDRESS.client}`)).length).toBeGreaterThan(PINGS);
    expect(await capture.fields(row.never, ['frame.number'])).toEqual([]);
  });
});
