/** From the daemon's start to each step of being healthy: two zones, each strongSwan and BIRD, 25 prefixes. */
import type { StatusView, TunnelView } from '../src/admin/wire.ts';
import { Bird } from '../test/netns/bird.ts';
import { BRANCH_ASN, manualBranch, PSK } from '../test/netns/branch-config.ts';
import { eventually } from '../test/netns/eventually.ts';
import { StrongSwan } from '../test/netns/strongswan.ts';
import { ADDRESS, Topology } from '../test/netns/topology.ts';
import { Tunwrightd } from '../test/netns/tunwrightd.ts';
import { report } from './report.ts';

const ROUNDS = 5;

const topology = await Topology.create();
try {
  for (const zone of topology.zones) {
    await StrongSwan.start(topology, `zone${zone.number}`, {
      namespace: zone.namespace,
      local: zone.endpoint,
      remoteId: ADDRESS.branchPublic,
      psk: PSK,
      routes: [ADDRESS.branchBgp],
    });
    await Bird.start(topology, zone, { branchAsn: BRANCH_ASN });
  }
  const daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, topology.zones) });
  await daemon.healthy();
  await daemon.stop();

  const answers: number[] = [];
  const tunnels: number[] = [];
  const sessions: number[] = [];
  const healthy: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const started = performance.now();
    const elapsed = () => performance.now() - started;
    daemon.restart();
    await eventually('the socket answers', 20_000, async () => (await daemon.status()).site !== '');
    answers.push(elapsed());
    await daemon.waitUntil('both tunnels are up', 20_000, (status) =>
      all(status, (tunnel) => tunnel.state === 'established'),
    );
    tunnels.push(elapsed());
    await daemon.waitUntil('both sessions are up', 20_000, (status) =>
      all(status, (tunnel) => tunnel.bgp.every((peer) => peer.state === 'established')),
    );
    sessions.push(elapsed());
    await daemon.healthy();
    healthy.push(elapsed());
    await daemon.stop();
  }
  await report('cold-start', [
    { name: 'start to admin socket', unit: 'ms', values: answers },
    { name: 'start to both tunnels', unit: 'ms', values: tunnels },
    { name: 'start to both BGP sessions', unit: 'ms', values: sessions },
    { name: 'start to healthy', unit: 'ms', values: healthy },
  ]);
} finally {
  await topology.remove();
}

function all(status: StatusView, condition: (tunnel: TunnelView) => boolean): boolean {
  const up = status.links.flatMap((link) => link.tunnels);
  return up.length > 0 && up.every(condition);
}
