import { z } from 'zod';
import { type IpAddress, parseIp, parsePrefix } from '../lib/ip.ts';
import { parseOctets } from '../lib/octets.ts';
import { parseDuration } from './durations.ts';
import type { IdentityConfig } from './types.ts';

/** Every message given to zod in this folder completes the sentence "expected …, got …"; `explain.ts` writes the rest. */

/** Text that `read` turns into a value, or refuses with undefined; `example` is one it takes. */
export function text<T>(expected: string, example: string, read: (text: string) => T | undefined) {
  return z
    .string({ error: expected })
    .meta({ description: expected, examples: [example] })
    .transform((value, context) => {
      const result = read(value);
      if (result !== undefined) return result;
      context.issues.push({ code: 'custom', message: expected, input: value });
      return z.NEVER;
    });
}

const matching = (expected: string, example: string, pattern: RegExp) =>
  text(expected, example, (value) => (pattern.test(value) ? value : undefined));

export function integer(what: string, min: number, max: number, example = min) {
  const error = `${what}, a whole number from ${min} to ${max}`;
  return z
    .int({ error })
    .min(min, { error })
    .max(max, { error })
    .meta({ description: error, examples: [example] });
}

const MAX_ITEMS = 256;
export const list = <S extends z.ZodType>(item: S) => z.array(item).max(MAX_ITEMS);

export const MAX_ASN = 4_294_967_294;

export const flag = (what: string) => z.boolean({ error: `true or false (${what})` }).describe(what);

/** Milliseconds between `min` and `max`, both as text. */
export function duration(what: string, min: string, max: string, example: string) {
  const [least, most] = [parseDuration(min) ?? 0, parseDuration(max) ?? 0];
  return text(`${what}, a duration from ${min} to ${max}`, example, (value) => {
    const ms = parseDuration(value);
    return ms !== undefined && ms >= least && ms <= most ? ms : undefined;
  });
}

/** Octets between `min` and `max`, both as text. */
export function octets(what: string, min: string, max: string, example: string) {
  const [least, most] = [parseOctets(min) ?? 0, parseOctets(max) ?? 0];
  return text(
    `${what}, an amount from ${min} to ${max} in B, kB, MB, GB, TB or KiB, MiB, GiB, TiB`,
    example,
    (value) => {
      const amount = parseOctets(value);
      return amount !== undefined && amount >= least && amount <= most ? amount : undefined;
    },
  );
}

export const name = (what: string, example: string) =>
  matching(
    `${what}, 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit`,
    example,
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
  );

export const remoteNetworkName = matching(
  'the name of the remote network, 1 to 64 characters without quotes or control characters',
  'lyon-01',
  /^(?! )[^"'\p{Cc}]{1,64}(?<! )$/u,
);

export const interfaceName = matching(
  'the name of a network interface, at most 15 characters without space, "/" or ":"',
  'eth0',
  /^(?!\.{1,2}$)[^\s/:]{1,15}$/,
);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const DOMAIN = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/i;

export const uuid = (what: string) => matching(`${what}, a UUID`, '11111111-1111-1111-1111-111111111111', UUID);
export const tenant = text('the tenant, a UUID or a verified domain name', 'contoso.onmicrosoft.com', (value) =>
  UUID.test(value) || DOMAIN.test(value) ? value : undefined,
);

/** The value never appears in a message: it may be a secret put in the wrong place. */
export const filePath = matching('the absolute path of a file', '/etc/tunwright/secret', /^\/[^\0]{1,4095}$/);

export const directory = matching('the absolute path of a directory', '/var/lib/tunwright/keys', /^\/[^\0]{0,4095}$/);

export const ipv4 = (what: string, example: string) => text(`${what}, an IPv4 address`, example, readIpv4);
export const ipv4OrAuto = (what: string) =>
  text(`${what}, an IPv4 address or "auto"`, 'auto', (value): IpAddress | 'auto' | undefined =>
    value === 'auto' ? value : readIpv4(value),
  );

export const prefixText = text('a network such as 10.1.20.0/24, host bits zero', '10.1.20.0/24', (value) => {
  const parsed = parsePrefix(value);
  return parsed.ok ? parsed.value : undefined;
});

/** `40.96.0.0/13`: that one alone; with `ge` or `le` also longer ones within it. */
export const prefixRange = text(
  'a network such as 40.96.0.0/13, or 40.96.0.0/13 ge 16 le 24 for those within it of these lengths',
  '40.96.0.0/13 ge 16 le 24',
  (value) => {
    const [, network = '', least, most] = /^(\S+)(?: ge (\d{1,3}))?(?: le (\d{1,3}))?$/.exec(value) ?? [];
    const parsed = parsePrefix(network);
    if (!parsed.ok) return undefined;
    const bits = parsed.value.address.bytes.length * 8;
    const ge = Number(least ?? parsed.value.length);
    const le = Number(most ?? (least === undefined ? parsed.value.length : bits));
    return parsed.value.length <= ge && ge <= le && le <= bits ? { prefix: parsed.value, ge, le } : undefined;
  },
);

/** RFC 1997, as one number of 32 bits. */
export const community = text('a community such as 65476:100', '65476:100', (value) => {
  const [high, low] = numbersOf(value, 2, 0xffff) ?? [];
  return high === undefined || low === undefined ? undefined : high * 0x10000 + low;
});

/** RFC 8092. */
export const largeCommunity = text(
  'a large community such as 65476:1:100',
  '65476:1:100',
  (value): readonly [number, number, number] | undefined => {
    const [administrator, first, second] = numbersOf(value, 3, 0xffffffff) ?? [];
    return administrator === undefined || first === undefined || second === undefined
      ? undefined
      : [administrator, first, second];
  },
);

/** `count` whole numbers up to `max` with colons between. */
function numbersOf(value: string, count: number, max: number): number[] | undefined {
  if (!/^\d{1,10}(:\d{1,10})*$/.test(value)) return undefined;
  const numbers = value.split(':').map(Number);
  return numbers.length === count && numbers.every((number) => number <= max) ? numbers : undefined;
}

export const socketAddress = text(
  'an address and port such as 127.0.0.1:9742 or [::1]:9742',
  '127.0.0.1:9742',
  (value) => {
    const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? [];
    const address = parseIp(bracketed ?? plain ?? '');
    const port = Number(digits);
    if (!address.ok || !(port >= 1 && port <= 65535)) return undefined;
    const bracketsFit = (bracketed !== undefined) === (address.value.family === 6);
    return bracketsFit ? { address: address.value, port } : undefined;
  },
);

/** RFC 7296 §3.5 identities by their look. */
const readIdentity = (value: string): IdentityConfig | undefined => {
  const address = parseIp(value);
  if (address.ok) return { type: address.value.family === 4 ? 'ipv4' : 'ipv6', address: address.value };
  if (DOMAIN.test(value)) return { type: 'fqdn', name: value };
  const [user, domain, more] = value.split('@');
  const isMailbox = more === undefined && /^[^\s@]{1,64}$/.test(user ?? '') && DOMAIN.test(domain ?? '');
  return isMailbox ? { type: 'rfc822', name: value } : undefined;
};
export const localIdentity = text(
  'our IKE identity: auto, an address, a domain name or user@domain',
  'auto',
  (value): IdentityConfig | undefined => (value === 'auto' ? value : readIdentity(value)),
);
export const remoteIdentity = text(
  "the peer's IKE identity: auto, any, an address, a domain name or user@domain",
  'auto',
  (value): IdentityConfig | undefined => (value === 'auto' || value === 'any' ? value : readIdentity(value)),
);

/** Without encryption a client secret would be readable on the way, so plain HTTP needs an address literal: a lab. */
export const origin = (what: string, example: string) =>
  text(`${what}, an origin such as ${example} (http:// with an address only, for a lab)`, example, (value) => {
    const url = readUrl(value);
    if (url === undefined || url.pathname !== '/' || /[?#]/.test(value)) return undefined;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    return url.protocol === 'https:' || parseIp(host).ok ? url.origin : undefined;
  });

export const probeUrl = text(
  'the URL to fetch through the tunnel, http://HOST[:PORT]/PATH',
  'http://198.18.1.101:6544/ping',
  (value) => (readUrl(value)?.protocol === 'http:' ? value : undefined),
);

function readUrl(value: string): URL | undefined {
  if (value.length > 2_048 || !/^https?:\/\/[^\s\\]+$/.test(value) || !URL.canParse(value)) return undefined;
  const url = new URL(value);
  return url.username === '' && url.password === '' ? url : undefined;
}

function readIpv4(value: string): IpAddress | undefined {
  const parsed = parseIp(value);
  return parsed.ok && parsed.value.family === 4 ? parsed.value : undefined;
}
