import { describe, expect, it } from 'vitest';
import { ikeConfig } from '../../../src/agent/ike-config.ts';
import { ip } from '../../../src/lib/ip.ts';
import { branchConfig, firstSpec } from './zone-peers.ts';

const LOCAL = ip('192.0.2.10');

describe('ikeConfig', () => {
  it('identifies us by the public address, and expects the endpoint without insisting', () => {
    expect(of((yaml) => yaml.replace('public_ip: auto', 'public_ip: 203.0.113.9'))).toMatchObject({
      localAddress: LOCAL,
      localId: { type: 'ipv4', address: ip('203.0.113.9') },
      remoteId: { type: 'ipv4', address: ip('198.51.100.20') },
      remoteIdStrict: false,
    });
  });

  it('takes the address of the WAN for the public one when that is automatic', () => {
    expect(of().localId).toEqual({ type: 'ipv4', address: LOCAL });
  });

  it('takes the registered address before that, because Microsoft knows us by it', () => {
    const spec = { ...firstSpec(branchConfig()), registeredIp: ip('203.0.113.7') };
    expect(ikeConfig(spec, LOCAL, false).localId).toEqual({ type: 'ipv4', address: ip('203.0.113.7') });
  });

  it.each<[string, object]>([
    ['gw.example.net', { remoteId: { type: 'fqdn', name: 'gw.example.net' }, remoteIdStrict: true }],
    ['198.51.100.20', { remoteId: { type: 'ipv4', address: ip('198.51.100.20') }, remoteIdStrict: true }],
    ['any', { remoteId: 'any' }],
  ])('insists on a remote identity that is written down: %s', (written, expected) => {
    expect(of((yaml) => yaml.replace('remote_id: auto', `remote_id: ${written}`))).toMatchObject(expected);
  });

  it.each([
    ['auto', 'udp'],
    ['udp', 'udp'],
    ['esp', 'auto'],
  ])(
    'disguises itself for encap: %s as the core does for %s: ESP on its own only where it was asked for',
    (encap, core) => {
      expect(of((yaml) => yaml.replace('encap: auto', `encap: ${encap}`)).encapsulation).toBe(core);
    },
  );

  it('carries limits of volume, sequence numbers and PFS groups over where they are written down', () => {
    const written =
      'lifetime: 1h, lifetime_bytes: 100GB, lifetime_packets: 1000000, esn: require, accept_pfs: [ecp256, none],';
    expect(of((yaml) => yaml.replace('lifetime: 1h,', written))).toMatchObject({
      childLifetimeOctets: 100e9,
      childLifetimePackets: 1_000_000,
      esn: 'require',
      acceptPfsGroups: [19, 'none'],
    });
    expect(of()).not.toHaveProperty('childLifetimeOctets');
    expect(of()).not.toHaveProperty('acceptPfsGroups');
  });

  it('offers exactly the suites of the file, and with pq: prefer each with ML-KEM-768 before', () => {
    expect(of().ikeSuites).toEqual([{ encryption: 'aes256', integrity: 'sha384', dhGroup: 20 }]);
    const { ikeSuites, espSuites } = of((yaml) => yaml.replace('encap: auto', 'encap: auto, pq: prefer'));
    expect(ikeSuites.map(({ additionalKe }) => additionalKe)).toEqual(['mlKem768', undefined]);
    expect(espSuites.map(({ additionalKe }) => additionalKe)).toEqual(['mlKem768', undefined]);
  });

  it('carries suites, lifetimes and the liveness interval over', () => {
    expect(of()).toMatchObject({
      role: 'initiator',
      ikeSuites: [{ encryption: 'aes256', integrity: 'sha384', dhGroup: 20 }],
      espSuites: [{ encryption: 'gcmAes256', pfsGroup: 20 }],
      ikeLifetimeMs: 28_800_000,
      childLifetimeMs: 3_600_000,
      dpdIntervalMs: 10_000,
      fragmentSize: 1_280,
      encapsulation: 'udp',
      exportKeys: false,
    });
  });
});

const of = (change?: (yaml: string) => string) => ikeConfig(firstSpec(branchConfig(change)), LOCAL, false);
