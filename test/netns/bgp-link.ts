import type { BgpConfig } from '../../src/bgp/types.ts';
import { ip } from '../../src/lib/ip.ts';
import { newPrefix, removeLeftovers, removeNamespaces } from './namespaces.ts';
import { run } from './process.ts';

const PREFIX = newPrefix();
export const CPE = { name: `${PREFIX}-cpe`, address: '169.254.21.1', asn: 4_200_000_001 };
export const ZONE = { name: `${PREFIX}-zone`, address: '169.254.21.2', asn: 65476 };

/** Our end of a session over the link. */
export const CONFIG: BgpConfig = {
  localAs: CPE.asn,
  remoteAs: ZONE.asn,
  localAddress: ip(CPE.address),
  peerAddress: ip(ZONE.address),
  routerId: ip(CPE.address),
  holdTimeSec: 180,
  passive: false,
  signed: false,
  role: 'customer',
  prefixLimit: { prefixes: 1000, beyond: 'restart', restartAfterMs: 900_000 },
  minHoldTimeSec: 3,
  delayOpenMs: 0,
};

/*
 *   cpe                      zone
 *   lo 169.254.21.1          lo 169.254.21.2
 *   tun0 ── veth, no ARP, no addresses, as a tunnel is ── tun0
 *   BgpSession, AS 4200000001                a real daemon, AS 65476
 */
export async function createLink(): Promise<void> {
  await removeLeftovers();
  for (const { name } of [CPE, ZONE]) await run('ip', ['netns', 'add', name]);
  await run('ip', [
    'link',
    'add',
    'tun0',
    'netns',
    CPE.name,
    'type',
    'veth',
    'peer',
    'name',
    'tun0',
    'netns',
    ZONE.name,
  ]);
  for (const [end, far] of [
    [CPE, ZONE],
    [ZONE, CPE],
  ] as const) {
    const node = (words: string) => run('ip', ['-n', end.name, ...words.split(' ')]);
    await node('link set lo up');
    await node(`addr add ${end.address}/32 dev lo`);
    await node('link set tun0 address 02:00:00:00:00:01 arp off up');
    await node(`route add ${far.address}/32 dev tun0 src ${end.address}`);
  }
}

export const removeLink = (): Promise<void> => removeNamespaces([CPE.name, ZONE.name]);
