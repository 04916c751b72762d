import { describe, expect, it } from 'vitest';
import {
  comparePrefix,
  equalIp,
  formatIp,
  formatPrefix,
  hostPrefix,
  ip,
  ipFromBytes,
  isPrivateIp,
  maskedPrefix,
  parseIp,
  parsePrefix,
  prefix,
  prefixContains,
  prefixesOverlap,
  prefixKey,
} from '../../../src/lib/ip.ts';

describe('isPrivateIp', () => {
  it.each([
    ['10.0.0.0', '10.255.255.255'],
    ['172.16.0.0', '172.31.255.255'],
    ['192.168.0.0', '192.168.255.255'],
    ['100.64.0.0', '100.127.255.255'],
    ['169.254.0.0', '169.254.255.255'],
    ['127.0.0.1', '0.0.0.0'],
  ])('holds from %s to %s', (first, last) => {
    expect([first, last].map((text) => isPrivateIp(ip(text)))).toEqual([true, true]);
  });

  it.each([
    '9.255.255.255',
    '11.0.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.0.1',
    '100.63.255.255',
    '100.128.0.0',
  ])('does not hold for %s', (text) => expect(isPrivateIp(ip(text))).toBe(false));
});

describe('addresses', () => {
  it.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8::', '2001:db8::'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ])('%s is written %s (RFC 5952)', (text, canonical) => {
    expect(formatIp(ip(text))).toBe(canonical);
    expect(equalIp(ip(canonical), ip(text))).toBe(true);
  });

  it.each([
    '',
    ' ',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.04',
    '0x1.2.3.4',
    '1.2.3.-4',
    '1.2.3.4 ',
    '1..2.3',
    '1.2.3.4/24',
    '16909060',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    '::g',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '[::1]',
    '１.2.3.4',
  ])('"%s" is no address', (text) => {
    expect(parseIp(text)).toEqual({ ok: false, error: `"${text}" is not an IP address` });
    expect(() => ip(text)).toThrow(RangeError);
  });

  it('copies the octets it is made from, 4 or 16 of them', () => {
    const octets = Uint8Array.of(192, 0, 2, 1);
    const address = ipFromBytes(octets);
    octets[0] = 0;
    expect(formatIp(address)).toBe('192.0.2.1');
    expect(() => ipFromBytes(new Uint8Array(5))).toThrow('4 or 16 octets, not 5');
  });

  it('of different families are never equal', () => {
    expect(equalIp(ip('0.0.0.0'), ip('::'))).toBe(false);
  });
});

describe('prefixes', () => {
  it.each(['0.0.0.0/0', '10.0.0.0/8', '192.0.2.1/32', '::/0', '2001:db8::/33', '::1/128'])(
    '%s reads and writes',
    (text) => {
      expect(formatPrefix(prefix(text))).toBe(text);
    },
  );

  it.each([
    ['10.0.0.1/24', '"10.0.0.1/24" has host bits set; the network is 10.0.0.0/24'],
    ['2001:db8::1/64', '"2001:db8::1/64" has host bits set; the network is 2001:db8::/64'],
    ['10.0.0.0/33', '"10.0.0.0/33": prefix length must be 0 to 32'],
    ['::/129', '"::/129": prefix length must be 0 to 128'],
    ['10.0.0.0/-1', '"10.0.0.0/-1": prefix length must be 0 to 32'],
    ['10.0.0.0/', '"10.0.0.0/": prefix length must be 0 to 32'],
    ['10.0.0.0/8.0', '"10.0.0.0/8.0": prefix length must be 0 to 32'],
    ['10.0.0.0', '"10.0.0.0" is not address/length'],
    ['10.0.0.0/8/8', '"10.0.0.0/8/8" is not address/length'],
    ['10.0.0/8', '"10.0.0" is not an IP address'],
  ])('%s is refused, with the reason', (text, error) => {
    expect(parsePrefix(text)).toEqual({ ok: false, error });
    expect(() => prefix(text)).toThrow(error);
  });

  it('mask inside an octet', () => {
    expect(formatPrefix(maskedPrefix(ip('192.0.2.255'), 25))).toBe('192.0.2.128/25');
    expect(formatPrefix(maskedPrefix(ip('192.0.2.255'), 0))).toBe('0.0.0.0/0');
    expect(formatPrefix(hostPrefix(ip('2001:db8::1')))).toBe('2001:db8::1/128');
  });

  it('contain themselves and what is longer, never another family', () => {
    expect(prefixContains(prefix('10.0.0.0/8'), prefix('10.255.0.0/16'))).toBe(true);
    expect(prefixContains(prefix('10.0.0.0/8'), prefix('10.0.0.0/8'))).toBe(true);
    expect(prefixContains(prefix('10.255.0.0/16'), prefix('10.0.0.0/8'))).toBe(false);
    expect(prefixContains(prefix('10.0.0.0/9'), prefix('10.128.0.0/9'))).toBe(false);
    expect(prefixContains(prefix('0.0.0.0/0'), prefix('::/1'))).toBe(false);
    expect(prefixesOverlap(prefix('10.255.0.0/16'), prefix('10.0.0.0/8'))).toBe(true);
    expect(prefixesOverlap(prefix('10.0.0.0/9'), prefix('10.128.0.0/9'))).toBe(false);
  });

  it('sort by family, address, length', () => {
    const sorted = ['0.0.0.0/0', '9.0.0.0/8', '10.0.0.0/8', '10.0.0.0/16', '10.1.0.0/16', '::/0', '2001:db8::/32'];
    const shuffled = [5, 3, 0, 6, 2, 4, 1].map((i) => prefix(sorted[i] ?? ''));
    expect(shuffled.sort(comparePrefix).map(formatPrefix)).toEqual(sorted);
  });
});

describe('prefixKey', () => {
  it('tells neighbours in address, length and family apart', () => {
    const texts = ['0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1', '255.255.255.255/32', '255.255.255.254/31', '::/0', '::/1'];
    expect(new Set(texts.map((text) => prefixKey(prefix(text)))).size).toBe(texts.length);
  });
});
