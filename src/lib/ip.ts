import { err, ok, type Result } from './result.ts';

/**
 * An IP address as its octets in network order, 4 or 16 of them. Value type: compare with `equalIp`.
 * Text forms are strict: no octal, no short IPv4, IPv6 without zone.
 */
export type IpAddress = { readonly family: 4 | 6; readonly bytes: Uint8Array };
/** An address block; `bytes` of `address` beyond `length` bits are zero. */
export type Prefix = { readonly address: IpAddress; readonly length: number };

export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length !== 4 && bytes.length !== 16)
    throw new RangeError(`an IP address has 4 or 16 octets, not ${bytes.length}`);
  return { family: bytes.length === 4 ? 4 : 6, bytes: new Uint8Array(bytes) };
}

export function parseIp(text: string): Result<IpAddress, string> {
  const bytes = text.includes(':') ? parseV6(text) : parseV4(text);
  return bytes === undefined ? err(`"${text}" is not an IP address`) : ok(ipFromBytes(bytes));
}

/** For constants and tests: throws `RangeError` on a malformed address. */
export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (!parsed.ok) throw new RangeError(parsed.error);
  return parsed.value;
}

export function formatIp(address: IpAddress): string {
  return address.family === 4 ? address.bytes.join('.') : formatV6(address.bytes);
}

export function equalIp(a: IpAddress, b: IpAddress): boolean {
  if (a === b) return true;
  if (a.family !== b.family) return false;
  for (let i = 0; i < a.bytes.length; i++) if (a.bytes[i] !== b.bytes[i]) return false;
  return true;
}

/** IPv4 that no host on the Internet has: RFC 1918, RFC 6598 (carriers), link-local, loopback, "this network". */
export function isPrivateIp(address: IpAddress): boolean {
  if (address.family !== 4) return false;
  const [a = 0, b = 0] = address.bytes;
  if (a === 0 || a === 10 || a === 127) return true;
  if (a === 100) return b >= 64 && b < 128;
  if (a === 172) return b >= 16 && b < 32;
  return (a === 192 && b === 168) || (a === 169 && b === 254);
}

/** `a.b.c.d/len`; host bits must be zero, so `10.0.0.1/24` is refused rather than silently changed. */
export function parsePrefix(text: string): Result<Prefix, string> {
  const [host, lengthText, more] = text.split('/');
  if (host === undefined || lengthText === undefined || more !== undefined)
    return err(`"${text}" is not address/length`);
  const address = parseIp(host);
  if (!address.ok) return address;
  const length = /^\d{1,3}$/.test(lengthText) ? Number(lengthText) : -1;
  const max = address.value.bytes.length * 8;
  if (length < 0 || length > max) return err(`"${text}": prefix length must be 0 to ${max}`);
  const prefix = maskedPrefix(address.value, length);
  if (!equalIp(prefix.address, address.value)) {
    return err(`"${text}" has host bits set; the network is ${formatPrefix(prefix)}`);
  }
  return ok(prefix);
}

/** For constants and tests: throws `RangeError` on a malformed prefix. */
export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new RangeError(parsed.error);
  return parsed.value;
}

/** The prefix of `length` bits that holds `address`: host bits are cleared. */
export function maskedPrefix(address: IpAddress, length: number): Prefix {
  const bytes = address.bytes.map((octet, i) => octet & octetMask(length - 8 * i));
  return { address: { family: address.family, bytes }, length };
}

export const hostPrefix = (address: IpAddress): Prefix => ({ address, length: address.bytes.length * 8 });

/** Canonical text; also the key to use in maps. */
export function formatPrefix(p: Prefix): string {
  return `${formatIp(p.address)}/${p.length}`;
}

/** Key for big tables: cheaper than the text. A number for IPv4 (address and length, below 2^38), the text for IPv6. */
export type PrefixKey = number | string;

export function prefixKey(p: Prefix): PrefixKey {
  if (p.address.family === 6) return formatPrefix(p);
  const [a = 0, b = 0, c = 0, d = 0] = p.address.bytes;
  return ipv4Key((a << 24) | (b << 16) | (c << 8) | d, p.length);
}

/** `address`: its 32 bits. */
export const ipv4Key = (address: number, length: number): number => (address >>> 0) * 64 + length;

export const formatKey = (key: PrefixKey): string => formatPrefix(prefixOfKey(key));

export const isIpv4Key = (key: PrefixKey): key is number => typeof key === 'number';

/** The prefix that has this key. */
export function prefixOfKey(key: PrefixKey): Prefix {
  if (typeof key === 'string') return prefix(key);
  const address = Math.floor(key / 64);
  const bytes = Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address);
  return { address: { family: 4, bytes }, length: key % 64 };
}

export function prefixContains(outer: Prefix, inner: Prefix): boolean {
  if (outer.address.family !== inner.address.family || inner.length < outer.length) return false;
  // By hand, because tables of 100,000 prefixes are matched: no copy of the masked address.
  const [a, b] = [outer.address.bytes, inner.address.bytes];
  for (let i = 0, bits = outer.length; bits > 0; i++, bits -= 8) {
    if ((((a[i] ?? 0) ^ (b[i] ?? 0)) & octetMask(bits)) !== 0) return false;
  }
  return true;
}

export const prefixesOverlap = (a: Prefix, b: Prefix): boolean => prefixContains(a, b) || prefixContains(b, a);

/** Order by family, address, length: stable listings. */
export function comparePrefix(a: Prefix, b: Prefix): number {
  if (a.address.family !== b.address.family) return a.address.family - b.address.family;
  for (let i = 0; i < a.address.bytes.length; i++) {
    const difference = (a.address.bytes[i] ?? 0) - (b.address.bytes[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const octetMask = (bits: number): number => (bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff);

function parseV4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return Uint8Array.from(parts, Number);
}

function parseV6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const compressed = halves.length === 2;
  const head = v6Groups(halves[0] ?? '', !compressed);
  const tail = compressed ? v6Groups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (compressed ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Sixteen-bit groups of one side of `::`; the last two groups of an address may be dotted IPv4 (RFC 4291 §2.2). */
function v6Groups(text: string, endsAddress: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (part.includes('.')) {
      const v4 = endsAddress && i === parts.length - 1 ? parseV4(part) : undefined;
      if (v4 === undefined) return undefined;
      groups.push(((v4[0] ?? 0) << 8) | (v4[1] ?? 0), ((v4[2] ?? 0) << 8) | (v4[3] ?? 0));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/** RFC 5952: lower case, longest run of two or more zero groups shortened. */
function formatV6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}
