import { equalBytes, fromUtf8, toHex, utf8 } from '../lib/bytes.ts';
import { formatIp, ipFromBytes } from '../lib/ip.ts';
import { unreachable } from '../lib/result.ts';
import type { Identity } from './types.ts';
import { IdType } from './wire/iana.ts';
import type { IdBody } from './wire/id.ts';

/** RFC 7296 §3.5. */
export function idBody(identity: Identity): IdBody {
  switch (identity.type) {
    case 'ipv4':
      return { idType: IdType.Ipv4, data: identity.address.bytes };
    case 'ipv6':
      return { idType: IdType.Ipv6, data: identity.address.bytes };
    case 'fqdn':
      return { idType: IdType.Fqdn, data: utf8(identity.name) };
    case 'rfc822':
      return { idType: IdType.Rfc822, data: utf8(identity.name) };
    case 'key-id':
      return { idType: IdType.KeyId, data: identity.id };
    default:
      return unreachable(identity);
  }
}

export const sameId = (a: IdBody, b: IdBody): boolean => a.idType === b.idType && equalBytes(a.data, b.data);

/** Such as `192.0.2.10 (ID_IPV4_ADDR)`; what a peer sent is cut, and control characters are replaced. */
export function describeId({ idType, data }: IdBody): string {
  switch (idType) {
    case IdType.Ipv4:
    case IdType.Ipv6: {
      const name = idType === IdType.Ipv4 ? 'ID_IPV4_ADDR' : 'ID_IPV6_ADDR';
      return `${data.length === 4 || data.length === 16 ? formatIp(ipFromBytes(data)) : hex(data)} (${name})`;
    }
    case IdType.Fqdn:
      return `${printable(data)} (ID_FQDN)`;
    case IdType.Rfc822:
      return `${printable(data)} (ID_RFC822_ADDR)`;
    case IdType.KeyId:
      return `${hex(data)} (ID_KEY_ID)`;
    default:
      return `${hex(data)} (ID type ${idType})`;
  }
}

const SHOWN = 128;
/** A stranger may name itself with 64 kB; nobody reads more than the beginning. */
const printable = (data: Uint8Array): string => fromUtf8(data.subarray(0, SHOWN)).replace(/\p{C}/gu, '?');
const hex = (data: Uint8Array): string => `${toHex(data.subarray(0, SHOWN / 2))}${data.length > SHOWN / 2 ? '…' : ''}`;
