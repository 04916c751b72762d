import { z } from 'zod';
import {
  DH_GROUPS,
  IKE_ENCRYPTIONS,
  IKE_INTEGRITIES,
  IPSEC_ENCRYPTIONS,
  PFS_GROUPS,
  resolveIkeSuite,
  resolveIpsecSuite,
} from '../../config/suites.ts';

const dhGroup = z.union([z.literal(14), z.literal(19), z.literal(20), z.literal(24)]);

/** What Microsoft's side learns when a device link is created: how to know the branch and what to speak with it. */
export const serveOrder = z.strictObject({
  command: z.literal('serve'),
  psk: z.string().min(1),
  /** BGP addresses of the gateway and of the branch. */
  localBgp: z.ipv4(),
  branchBgp: z.ipv4(),
  branchAsn: z.int(),
  ike: z.array(z.strictObject({ encryption: z.enum(IKE_ENCRYPTIONS), integrity: z.enum(IKE_INTEGRITIES), dhGroup })),
  esp: z.array(
    z.strictObject({ encryption: z.enum(IPSEC_ENCRYPTIONS), pfsGroup: z.union([dhGroup, z.literal('none')]) }),
  ),
});

/** Lines on a gateway's standard input. */
export const gatewayCommand = z.discriminatedUnion('command', [
  serveOrder,
  z.strictObject({ command: z.literal('withdraw') }),
]);
export type ServeOrder = z.infer<typeof serveOrder>;
export type GatewayCommand = z.infer<typeof gatewayCommand>;

const keys = <K extends string>(record: Readonly<Record<K, unknown>>): [K, ...K[]] =>
  Object.keys(record) as [K, ...K[]];

const tunnelConfiguration = z.object({
  preSharedKey: z.string(),
  zoneRedundancyPreSharedKey: z.string().nullish(),
  ikeEncryption: z.enum(IKE_ENCRYPTIONS).optional(),
  ikeIntegrity: z.enum(IKE_INTEGRITIES).optional(),
  dhGroup: z.enum(keys(DH_GROUPS)).optional(),
  ipSecEncryption: z.enum(IPSEC_ENCRYPTIONS).optional(),
  pfsGroup: z.enum(keys(PFS_GROUPS)).optional(),
});

/** A device link as the simulated Entra reports it; what does not concern a gateway is ignored. */
const reportedLink = z.object({
  bgpConfiguration: z.object({ asn: z.int(), localIpAddress: z.ipv4(), peerIpAddress: z.ipv4() }),
  redundancyConfiguration: z.object({ zoneLocalIpAddress: z.ipv4().nullable() }),
  tunnelConfiguration,
});

/** One order for each zone of the link, zone 1 first. Throws a `ZodError` on anything but a link. */
export function gatewayOrders(link: unknown): ServeOrder[] {
  const { bgpConfiguration: bgp, redundancyConfiguration, tunnelConfiguration: tunnel } = reportedLink.parse(link);
  const { ike, esp } = suites(tunnel);
  const order = (psk: string, localBgp: string): ServeOrder => {
    return { command: 'serve', psk, localBgp, branchBgp: bgp.peerIpAddress, branchAsn: bgp.asn, ike, esp };
  };
  const first = order(tunnel.preSharedKey, bgp.localIpAddress);
  const { zoneLocalIpAddress } = redundancyConfiguration;
  if (typeof tunnel.zoneRedundancyPreSharedKey !== 'string' || zoneLocalIpAddress === null) return [first];
  return [first, order(tunnel.zoneRedundancyPreSharedKey, zoneLocalIpAddress)];
}

/** Microsoft accepts exactly the custom policy, or one of the default set when the link names none. */
function suites(tunnel: z.infer<typeof tunnelConfiguration>): Pick<ServeOrder, 'ike' | 'esp'> {
  const { ikeEncryption, ikeIntegrity, dhGroup: dh, ipSecEncryption, pfsGroup: pfs } = tunnel;
  const isCustom =
    ikeEncryption !== undefined &&
    ikeIntegrity !== undefined &&
    dh !== undefined &&
    ipSecEncryption !== undefined &&
    pfs !== undefined;
  const ike = isCustom ? { encryption: ikeEncryption, integrity: ikeIntegrity, dh } : ('default' as const);
  const esp = isCustom ? { encryption: ipSecEncryption, pfs } : ('default' as const);
  return { ike: [...resolveIkeSuite(ike).proposals], esp: [...resolveIpsecSuite(esp).proposals] };
}
