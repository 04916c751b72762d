import { equalIp, formatIp, hostPrefix, type IpAddress, type Prefix, prefix, prefixContains } from '../lib/ip.ts';

/** Rules of Global Secure Access for the values a branch may choose. Each check gives one sentence, or undefined when all is well. */

interface ReservedAsns {
  readonly first: number;
  readonly last: number;
  readonly owner: string;
}

/** https://learn.microsoft.com/entra/global-secure-access/reference-remote-network-configurations */
const RESERVED_ASNS: readonly ReservedAsns[] = [
  { first: 8075, last: 8076, owner: 'Azure' },
  { first: 12076, last: 12076, owner: 'Azure' },
  { first: 23456, last: 23456, owner: 'IANA (AS_TRANS, RFC 6793)' },
  { first: 64496, last: 64511, owner: 'IANA (documentation, RFC 5398)' },
  { first: 65476, last: 65476, owner: 'Global Secure Access itself' },
  { first: 65517, last: 65520, owner: 'Azure' },
  { first: 65535, last: 65535, owner: 'IANA (RFC 7300)' },
];

const FORBIDDEN_BGP_BLOCKS: readonly { readonly block: Prefix; readonly use: string }[] = [
  { block: prefix('0.0.0.0/32'), use: 'means "no address"' },
  { block: prefix('127.0.0.0/8'), use: 'is the loopback block' },
  { block: prefix('224.0.0.0/4'), use: 'is the multicast block' },
  { block: prefix('255.255.255.255/32'), use: 'is the broadcast address' },
];

/** The AS number of this box on a device link: two octets, not reserved by Azure, IANA or Global Secure Access. */
export function checkCpeAsn(asn: number): string | undefined {
  if (!Number.isInteger(asn) || asn < 1 || asn > 65535) {
    return `expected a two-octet AS number from 1 to 65534, got ${asn}; Microsoft accepts no four-octet ASN: use a private one, e.g. 65010`;
  }
  const reserved = RESERVED_ASNS.find(({ first, last }) => asn >= first && asn <= last);
  return reserved && `AS ${asn} is reserved by ${reserved.owner} and Microsoft refuses it; use another, e.g. 65010`;
}

/** One BGP address of a device link, ours or Microsoft's. */
export function checkBgpAddress(address: IpAddress): string | undefined {
  const text = formatIp(address);
  if (address.family !== 4) return `expected an IPv4 address, got ${text}; remote networks speak BGP over IPv4 only`;
  const forbidden = FORBIDDEN_BGP_BLOCKS.find(({ block }) => prefixContains(block, hostPrefix(address)));
  return forbidden && `${text} cannot be a BGP address: it ${forbidden.use}; use a private address, e.g. 169.254.21.1`;
}

export interface BgpAddresses {
  readonly cpe: IpAddress;
  readonly msft: IpAddress;
  /** With zone redundancy only. */
  readonly msftZone: IpAddress | undefined;
}

/**
 * The addresses of one link together: all different, and Microsoft's outside every network behind this box,
 * because a more specific LAN route would carry BGP to the wire instead of the tunnel.
 */
export function checkBgpAddresses(addresses: BgpAddresses, lan: readonly Prefix[]): string | undefined {
  const { cpe, msft, msftZone } = addresses;
  const msftSide = msftZone === undefined ? [msft] : [msft, msftZone];
  for (const address of [cpe, ...msftSide]) {
    const problem = checkBgpAddress(address);
    if (problem !== undefined) return problem;
  }
  if (msftZone !== undefined && equalIp(msft, msftZone)) {
    return `both zones have the BGP address ${formatIp(msft)}; each zone needs its own`;
  }
  if (msftSide.some((address) => equalIp(address, cpe))) {
    return `${formatIp(cpe)} is given to both this box and Microsoft; the two ends need different BGP addresses`;
  }
  const captured = msftSide.find((address) => lan.some((network) => prefixContains(network, hostPrefix(address))));
  return (
    captured &&
    `Microsoft's BGP address ${formatIp(captured)} lies inside a network of this site, so BGP would not enter the tunnel; choose one outside, e.g. from 169.254.0.0/16`
  );
}
