import { describe, expect, it } from 'vitest';
import { checkBgpAddress, checkBgpAddresses, checkCpeAsn } from '../../../src/entra/validators.ts';
import { ip, prefix } from '../../../src/lib/ip.ts';

describe('checkCpeAsn', () => {
  it.each([1, 8074, 8077, 23455, 64495, 64512, 65010, 65475, 65515, 65516, 65521, 65534])('accepts AS %i', (asn) => {
    expect(checkCpeAsn(asn)).toBeUndefined();
  });
  it.each([8075, 8076, 12076, 23456, 64496, 64511, 65476, 65517, 65518, 65519, 65520, 65535])(
    'refuses the reserved AS %i and names its owner',
    (asn) => expect(checkCpeAsn(asn)).toMatch(/reserved by (Azure|IANA|Global Secure Access)/),
  );
  it.each([0, -1, 65536, 4294967295, 1.5, Number.NaN])('refuses %d as not two octets', (asn) => {
    expect(checkCpeAsn(asn)).toMatch(/expected a two-octet AS number/);
  });
});

describe('checkBgpAddress', () => {
  it.each(['169.254.21.1', '10.0.0.1', '0.0.0.1', '126.255.255.255', '128.0.0.0', '223.255.255.255', '240.0.0.1'])(
    'accepts %s',
    (text) => expect(checkBgpAddress(ip(text))).toBeUndefined(),
  );
  it.each(['0.0.0.0', '127.0.0.1', '127.255.255.255', '224.0.0.1', '239.255.255.255', '255.255.255.255', 'fe80::1'])(
    'refuses %s',
    (text) => expect(checkBgpAddress(ip(text))).toContain(text),
  );
});

describe('checkBgpAddresses', () => {
  const good = { cpe: ip('169.254.21.1'), msft: ip('169.254.21.2'), msftZone: ip('169.254.22.2') };
  const lan = [prefix('10.1.20.0/24')];

  it('accepts three different addresses outside the LAN', () => {
    expect(checkBgpAddresses(good, lan)).toBeUndefined();
    expect(checkBgpAddresses({ ...good, msftZone: undefined }, lan)).toBeUndefined();
  });
  it.each([
    ['the same address for both zones', { ...good, msftZone: good.msft }, /both zones/],
    ['our own address as zone 1', { ...good, msft: good.cpe }, /given to both/],
    ['our own address as zone 2', { ...good, msftZone: good.cpe }, /given to both/],
    ['a Microsoft address inside the LAN', { ...good, msftZone: ip('10.1.20.9') }, /10\.1\.20\.9 lies inside/],
    ['a forbidden address', { ...good, msft: ip('127.0.0.1') }, /loopback/],
  ])('refuses %s', (_name, addresses, sentence) => {
    expect(checkBgpAddresses(addresses, lan)).toMatch(sentence);
  });
});
