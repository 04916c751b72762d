import { fromUtf8 } from '../../lib/bytes.ts';
import { formatIp, ipFromBytes } from '../../lib/ip.ts';
import { NotifyType } from '../wire/iana.ts';
import { findNotify, type Payload } from '../wire/message.ts';

const GatewayIdentType = { Ipv4: 1, Ipv6: 2, Fqdn: 3 } as const;

/**
 * What a peer wants that sends us to another one with REDIRECT (RFC 5685); `undefined` where it does not. We never say
 * that we follow one: where a tunnel ends is configured, and no notify moves it.
 */
export function describeRedirect(peer: string, payloads: readonly Payload[]): string | undefined {
  const redirect = findNotify(payloads, NotifyType.Redirect);
  if (redirect === undefined) return undefined;
  const target = gatewayIdent(redirect.data);
  return `${peer} wants us to go to ${target} instead (REDIRECT), which we do not: set the endpoint to ${target} if that is right`;
}

/** GW Ident Type, GW Identity Length, New Responder GW Identity; nonce data may follow. */
function gatewayIdent(data: Uint8Array): string {
  const [type, length = 0] = data;
  const ident = data.subarray(2, 2 + length);
  const isAddress =
    (type === GatewayIdentType.Ipv4 && ident.length === 4) || (type === GatewayIdentType.Ipv6 && ident.length === 16);
  if (isAddress) return formatIp(ipFromBytes(ident));
  return type === GatewayIdentType.Fqdn ? fromUtf8(ident).replace(/\p{C}/gu, '?').slice(0, 128) : 'another gateway';
}
