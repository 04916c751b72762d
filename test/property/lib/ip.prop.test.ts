import { isIP } from 'node:net';
import { fc, test } from '@fast-check/vitest';
import ipaddr from 'ipaddr.js';
import { describe, expect } from 'vitest';
import {
  comparePrefix,
  equalIp,
  formatIp,
  formatPrefix,
  ip,
  ipFromBytes,
  maskedPrefix,
  type Prefix,
  parseIp,
  parsePrefix,
  prefixContains,
  prefixesOverlap,
  prefixKey,
} from '../../../src/lib/ip.ts';

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
/** IPv6 with runs of zero groups, where text forms get interesting. */
const sparseV6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
const address = fc.oneof(octets(4), octets(16), sparseV6).map(ipFromBytes);
const anyPrefix = address.chain((a) =>
  fc.integer({ min: 0, max: 8 * a.bytes.length }).map((length) => maskedPrefix(a, length)),
);
/** Prefixes that are often related: few distinct leading bits. */
const crowdedPrefix = fc
  .tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 6 }))
  .map(([top, length]) => maskedPrefix(ipFromBytes(Uint8Array.of(top << 4, 0, 0, 0)), length));
/** Text that is nearly an address. */
const nearlyAddress = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc
    .array(fc.constantFrom(':', '::', '.', '0', '1', 'f', '00', 'abcd', '255', '256', '1.2.3.4', '%eth0', ' '), {
      maxLength: 12,
    })
    .map((parts) => parts.join('')),
);

describe('addresses', () => {
  test.prop([address])('survive formatting and parsing', (a) => {
    expect(ip(formatIp(a))).toEqual(a);
  });
  test.prop([address])('are written as ipaddr.js writes them in RFC 5952 form', (a) => {
    const theirs = ipaddr.fromByteArray([...a.bytes]);
    expect(formatIp(a)).toBe('toRFC5952String' in theirs ? theirs.toRFC5952String() : theirs.toString());
  });
  test.prop([nearlyAddress], { numRuns: 3000 })('are accepted exactly when Node takes them, zones left out', (text) => {
    expect(parseIp(text).ok).toBe(isIP(text) !== 0 && !text.includes('%'));
  });
  // ipaddr.js is lenient about what it accepts, and reads ::a.b.c.d as ::ffff:a.b.c.d: RFC 4291 §2.2 does not.
  test.prop([nearlyAddress.filter((text) => !/^::\d+\./.test(text))], { numRuns: 2000 })(
    'mean the same to ipaddr.js',
    (text) => {
      const ours = parseIp(text);
      if (ours.ok) expect([...ours.value.bytes]).toEqual(ipaddr.parse(text).toByteArray());
    },
  );
  test.prop([fc.string()])('arbitrary text gives a Result', (text) => {
    expect(typeof parseIp(text).ok).toBe('boolean');
    expect(typeof parsePrefix(text).ok).toBe('boolean');
  });
});

describe('prefixes', () => {
  test.prop([anyPrefix])('survive formatting and parsing', (p) => {
    expect(parsePrefix(formatPrefix(p))).toEqual({ ok: true, value: p });
  });
  test.prop([fc.oneof(anyPrefix, crowdedPrefix), address])('hold the addresses that ipaddr.js matches', (p, a) => {
    if (p.address.family !== a.family) return;
    const theirs = ipaddr.fromByteArray([...a.bytes]);
    const matches = theirs.match(ipaddr.fromByteArray([...p.address.bytes]), p.length);
    expect(prefixContains(p, maskedPrefix(a, 8 * a.bytes.length))).toBe(matches);
  });
  test.prop([crowdedPrefix, crowdedPrefix])('overlap when one holds the other, in either order', (a, b) => {
    expect(prefixesOverlap(a, b)).toBe(prefixContains(a, b) || prefixContains(b, a));
    expect(prefixesOverlap(a, b)).toBe(addressesOf(a).some((x) => addressesOf(b).includes(x)));
  });
  test.prop([fc.oneof(anyPrefix, crowdedPrefix), fc.oneof(anyPrefix, crowdedPrefix)])(
    'are ordered totally, and share a key exactly when they are equal',
    (a, b) => {
      const equal = equalIp(a.address, b.address) && a.length === b.length;
      expect(comparePrefix(a, b) === 0).toBe(equal);
      expect(Math.sign(comparePrefix(a, b))).toBe(-Math.sign(comparePrefix(b, a)) + 0);
      expect(prefixKey(a) === prefixKey(b)).toBe(equal);
    },
  );
});

/** The 256 values of the first octet that a crowded prefix covers. */
function addressesOf(p: Prefix): number[] {
  const first = p.address.bytes[0] ?? 0;
  return Array.from({ length: 2 ** (8 - p.length) }, (_, i) => first + i);
}
