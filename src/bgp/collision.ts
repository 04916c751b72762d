import type { IpAddress } from '../lib/ip.ts';

/** One end of a session as collision detection compares it. */
export interface Speaker {
  /** BGP Identifier. */
  readonly routerId: IpAddress;
  readonly asn: number;
}

/**
 * RFC 4271 §6.8 with RFC 6286 §2.3: of two connections between the same speakers the one stays that was opened by
 * the speaker with the higher BGP Identifier; at equal identifiers, by the one with the higher AS number.
 * Both ends come to the same answer.
 */
export function survivor(local: Speaker, remote: Speaker): 'outgoing' | 'incoming' {
  const byId = identifier(local.routerId) - identifier(remote.routerId);
  const order = byId !== 0 ? byId : local.asn - remote.asn;
  return order > 0 ? 'outgoing' : 'incoming';
}

const identifier = (address: IpAddress): number => address.bytes.reduce((value, octet) => value * 256 + octet, 0);
