import { describe, expect, it } from 'vitest';
import { GraphRefusal } from '../../../src/lab/entra-sim/refusal.ts';
import { checkDeviceLink, checkRemoteNetwork, checkRemoteNetworkPatch } from '../../../src/lab/entra-sim/rules.ts';

const TUNNEL = {
  '@odata.type': '#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Custom',
  preSharedKey: 'keyOne',
  zoneRedundancyPreSharedKey: 'keyTwo',
  saLifeTimeSeconds: 3600,
  ikeEncryption: 'aes256',
  ikeIntegrity: 'sha384',
  dhGroup: 'ecp384',
  ipSecEncryption: 'gcmAes256',
  ipSecIntegrity: 'gcmAes256',
  pfsGroup: 'ecp384',
};
const BGP = { localIpAddress: '169.254.21.2', peerIpAddress: '169.254.21.1', asn: 65010 };
const ZONED = { redundancyTier: 'zoneRedundancy', zoneLocalIpAddress: '169.254.22.2' };
const LINK = {
  name: 'fiber',
  ipAddress: '203.0.113.10',
  deviceVendor: 'other',
  bandwidthCapacityInMbps: 'mbps500',
  bgpConfiguration: BGP,
  redundancyConfiguration: ZONED,
  tunnelConfiguration: TUNNEL,
};
const DEFAULT_TUNNEL = {
  '@odata.type': '#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Default',
  preSharedKey: 'k',
};
const UNZONED = { redundancyTier: 'noRedundancy', zoneLocalIpAddress: null };

const tunnel = (change: object) => ({ ...LINK, tunnelConfiguration: { ...TUNNEL, ...change } });
const bgp = (change: object) => ({ ...LINK, bgpConfiguration: { ...BGP, ...change } });
const redundancy = (change: object) => ({ ...LINK, redundancyConfiguration: { ...ZONED, ...change } });

describe('a device link is taken', () => {
  it.each<[string, object]>([
    ['in full', LINK],
    ['without zone redundancy', { ...tunnel({ zoneRedundancyPreSharedKey: null }), redundancyConfiguration: UNZONED }],
    ['with the default policy', { ...LINK, tunnelConfiguration: DEFAULT_TUNNEL, redundancyConfiguration: UNZONED }],
    ['with a young vendor', { ...LINK, deviceVendor: 'juniperNetworks' }],
    ['with the shortest life', tunnel({ saLifeTimeSeconds: 301 })],
    ['with unencrypted ESP, which Graph knows', tunnel({ ipSecEncryption: 'none', ipSecIntegrity: 'sha256' })],
    ...[1, 64495, 64512, 65515, 65534].map((asn): [string, object] => [`with AS ${asn}`, bgp({ asn })]),
  ])('%s', (_name, body) => {
    expect(checkDeviceLink(body, 3, { refusePfs14: false })).toMatchObject({ name: 'fiber' });
  });
});

describe('a device link is refused with 400', () => {
  const { name: _name, ...nameless } = LINK;
  const { bandwidthCapacityInMbps: _bandwidth, ...unmetered } = LINK;
  const { preSharedKey: _psk, ...keyless } = TUNNEL;
  it.each<[string, unknown, RegExp]>([
    ['that is no object', [LINK], /Expected a JSON object/],
    ['without a name', nameless, /'name' is required/],
    ['without a bandwidth', unmetered, /'bandwidthCapacityInMbps' is required/],
    ['with an unknown property', { ...LINK, colour: 'red' }, /'colour' does not exist/],
    ['with a read-only property', { ...LINK, id: 'x' }, /'id' does not exist on the type or is read-only/],
    ['with an unknown property further down', bgp({ password: 'x' }), /'password' does not exist/],
    ['with a property named like a method', JSON.parse(`{"__proto__": 1, "name": "x"}`), /'__proto__' does not exist/],
    ['with an IPv6 address', { ...LINK, ipAddress: '2001:db8::1' }, /ipAddress.*ipv4/],
    ['with an unknown vendor', { ...LINK, deviceVendor: 'acme' }, /'acme' was not found in enum deviceVendor/],
    ['with unknownFutureValue', { ...LINK, deviceVendor: 'unknownFutureValue' }, /not found in enum/],
    ['with a bandwidth as a number', { ...LINK, bandwidthCapacityInMbps: 500 }, /'500' was not found/],
    ['without a tunnel type', tunnel({ '@odata.type': undefined }), /abstract class/],
    ['with the type of another tunnel', tunnel({ '@odata.type': '#microsoft.graph.x' }), /abstract class/],
    [
      'with a custom property in the default policy',
      { ...LINK, tunnelConfiguration: { ...DEFAULT_TUNNEL, dhGroup: 'ecp384' } },
      /'dhGroup' does not exist/,
    ],
    ['without a key', { ...LINK, tunnelConfiguration: keyless }, /preSharedKey' is required/],
    [
      'with a zone and no zone key',
      tunnel({ zoneRedundancyPreSharedKey: null }),
      /zoneRedundancyPreSharedKey is required/,
    ],
    ['with a zone and no zone address', redundancy({ zoneLocalIpAddress: null }), /zoneLocalIpAddress is required/],
    [
      'with a zone address and no zone',
      redundancy({ redundancyTier: 'noRedundancy' }),
      /only valid with zoneRedundancy/,
    ],
    ['with one address for both zones', redundancy({ zoneLocalIpAddress: BGP.localIpAddress }), /must differ/],
    ['with our address as a zone', redundancy({ zoneLocalIpAddress: BGP.peerIpAddress }), /must differ/],
    ['with our address as Microsoft', bgp({ localIpAddress: BGP.peerIpAddress }), /must differ/],
    ['with a suite member that does not exist', tunnel({ ikeIntegrity: 'sha512' }), /not found in enum ikeIntegrity/],
    ['with phase 2 of two halves', tunnel({ ipSecIntegrity: 'gcmAes128' }), /gcmAes256\/gcmAes128.*not supported/],
    ['with AES-GCM and sha256', tunnel({ ipSecIntegrity: 'sha256' }), /not supported/],
    ['with too short a life', tunnel({ saLifeTimeSeconds: 300 }), /from 301 to 86400, got 300/],
    ['with too long a life', tunnel({ saLifeTimeSeconds: 86_401 }), /from 301 to 86400/],
    ['with a life as text', tunnel({ saLifeTimeSeconds: '3600' }), /must be of type int64/],
    ...[0, 8075, 8076, 12076, 23456, 64496, 64511, 65476, 65517, 65520, 65535, 65551, 70_000].map(
      (asn): [string, object, RegExp] => [`with AS ${asn}`, bgp({ asn }), /reserved or not a 2-byte/],
    ),
    ['with a 4-octet ASN beyond Int32', bgp({ asn: 4_294_967_295 }), /must be of type int32/],
    ...['0.0.0.0', '127.0.0.1', '224.0.0.5', '239.255.255.255', '255.255.255.255'].map(
      (address): [string, object, RegExp] => [
        `with BGP address ${address}`,
        bgp({ peerIpAddress: address }),
        /not allowed/,
      ],
    ),
  ])('%s', (_name, body, sentence) => {
    const refusal = refusalOf(() => checkDeviceLink(body, 0, { refusePfs14: false }));
    expect(refusal).toMatchObject({ status: 400, code: 'BadRequest' });
    expect(refusal.message).toMatch(sentence);
    expect(refusal.message).not.toMatch(/keyOne|keyTwo/);
  });

  it('as the fifth of its network', () => {
    expect(refusalOf(() => checkDeviceLink(LINK, 4, { refusePfs14: false })).message).toMatch(
      /already has 4 device links/,
    );
  });
  it('with pfs14 when that is switched off', () => {
    const refusal = refusalOf(() => checkDeviceLink(tunnel({ pfsGroup: 'pfs14' }), 0, { refusePfs14: true }));
    expect(refusal.message).toContain('pfsGroup');
  });
});

describe('a remote network', () => {
  it('needs a name and a known region', () => {
    expect(checkRemoteNetwork({ name: 'a', region: 'spainCentral' })).toMatchObject({ region: 'spainCentral' });
    expect(refusalOf(() => checkRemoteNetwork({ name: 'a' })).target).toBe('region');
    expect(refusalOf(() => checkRemoteNetwork({ name: ' ', region: 'eastUS' })).target).toBe('name');
    expect(refusalOf(() => checkRemoteNetwork({ name: 'a', region: 'mars' })).target).toBe('region');
  });
  it('changes its name only', () => {
    expect(checkRemoteNetworkPatch({ name: 'b' })).toMatchObject({ name: 'b' });
    expect(refusalOf(() => checkRemoteNetworkPatch({ name: 'b', region: 'eastUS' })).target).toBe('region');
  });
});

function refusalOf(check: () => unknown): GraphRefusal {
  try {
    check();
  } catch (refusal) {
    if (refusal instanceof GraphRefusal) return refusal;
    throw refusal;
  }
  throw new Error('expected a refusal');
}
