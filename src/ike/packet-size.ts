import type { IpAddress } from '../lib/ip.ts';

/** Octets of the largest IP packet that we send unless told otherwise: what every IPv6 path, and nearly every other, takes. */
export const DEFAULT_PACKET_SIZE = 1280;
/** What every IPv4 host takes (RFC 7383 §2.5.1): for a path that swallows larger ones. */
export const SMALL_PACKET_SIZE = 576;
/** Less is no use, and a peer with even smaller fragments must not make us send hundreds. */
export const MIN_PACKET_SIZE = 256;

const IP_HEADER_LENGTH = { 4: 20, 6: 40 } as const;
const UDP_HEADER_LENGTH = 8;
const NON_ESP_MARKER_LENGTH = 4;

/** Octets of IKE that fit into an IP packet of `packetSize` octets; on port 4500 the non-ESP marker takes some too. */
export function roomForIke(packetSize: number, family: IpAddress['family'], port: 500 | 4500): number {
  const marker = port === 4500 ? NON_ESP_MARKER_LENGTH : 0;
  return packetSize - IP_HEADER_LENGTH[family] - UDP_HEADER_LENGTH - marker;
}
