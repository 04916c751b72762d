import { describe, expect, it } from 'vitest';
import { type HeldFacts, registeredPeers, sameSpec, tunnelSpecs } from '../../../src/agent/tunnel-spec.ts';
import type { Config } from '../../../src/config/types.ts';
import type { RegisteredLink } from '../../../src/entra/types.ts';
import { formatIp, formatPrefix, ip } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { branchConfig, branchSpecs, firstSpec, onlyLink, zonePeer, zonePeers } from './zone-peers.ts';

describe('tunnelSpecs', () => {
  it('makes one tunnel per zone, named by link and zone, exporting what the link exports', () => {
    const rows = branchSpecs().map((spec) => [
      spec.name,
      spec.interface,
      formatIp(spec.endpoint),
      spec.bgpPeers.map(({ address, asn }) => `${formatIp(address)} AS${asn}`).join(),
      spec.exports.map(({ prefix }) => formatPrefix(prefix)).join(),
    ]);
    expect(rows).toEqual([
      ['fiber/1', 'tw0', '198.51.100.20', '169.254.21.2 AS65476', '10.1.20.0/24'],
      ['fiber/2', 'tw1', '198.51.100.84', '169.254.22.2 AS65476', '10.1.20.0/24'],
    ]);
  });

  it('lets zones that share an endpoint share a tunnel with two BGP peers', () => {
    const config = branchConfig();
    const link = onlyLink(config);
    const second = zonePeer(link, { zone: 2, bgpAddress: ip('169.254.22.2') });
    const specs = tunnelSpecs(config, [zonePeer(link), second]);
    expect(
      specs.map((spec) => [spec.name, spec.interface, spec.bgpPeers.map((peer) => formatIp(peer.address))]),
    ).toEqual([['fiber/1', 'tw0', ['169.254.21.2', '169.254.22.2']]]);
  });

  it('numbers interfaces by link and zone, in whatever order the peers are written or told', () => {
    const config = twoLinks();
    const peers = zonePeers(config);
    const names = (order: typeof peers) => tunnelSpecs(config, order).map((spec) => `${spec.interface} ${spec.name}`);
    const expected = ['tw0 fiber/1', 'tw1 fiber/2', 'tw2 dsl/1', 'tw3 dsl/2'];
    expect(names(peers)).toEqual(expected);
    expect(names([...peers].reverse())).toEqual(expected);
  });

  it('does not share a tunnel between two links to one endpoint', () => {
    const config = twoLinks();
    const specs = tunnelSpecs(
      config,
      config.links.map((link) => zonePeer(link)),
    );
    expect(specs.map((spec) => spec.name)).toEqual(['fiber/1', 'dsl/1']);
  });
});

describe('sameSpec', () => {
  it('holds for the same configuration read twice, whatever the objects are', () => {
    expect(sameSpec(firstSpec(branchConfig()), firstSpec(branchConfig()))).toBe(true);
  });

  it.each<[string, (yaml: string) => string]>([
    ['the endpoint', (yaml) => yaml.replace('198.51.100.20', '198.51.100.21')],
    ['the IKE suite', (yaml) => yaml.replace('suite: mix8', 'suite: mix1')],
    ['a timer', (yaml) => yaml.replace('dpd: 10s', 'dpd: 20s')],
    ['the WAN', (yaml) => yaml.replace('interface: eth0', 'interface: eth1')],
  ])('does not hold when one thing differs: %s', (_, change) => {
    expect(sameSpec(firstSpec(), firstSpec(branchConfig(change)))).toBe(false);
  });

  it.each<[string, (yaml: string) => string]>([
    ['the exports', (yaml) => yaml.replace('10.1.20.0/24', '10.1.21.0/24')],
    ['the other zone', (yaml) => yaml.replace('198.51.100.84', '198.51.100.85')],
    ['the bandwidth', (yaml) => yaml.replace('bandwidth: 500', 'bandwidth: 250')],
    ['the priority of the WAN', (yaml) => yaml.replace('priority: 1', 'priority: 2')],
  ])('holds when only something changes that this tunnel is not made of: %s', (_, change) => {
    expect(sameSpec(firstSpec(), firstSpec(branchConfig(change)))).toBe(true);
  });

  it('does not hold for another registered address, which is our identity', () => {
    const spec = firstSpec();
    expect(sameSpec(spec, { ...spec, registeredIp: ip('203.0.113.7') })).toBe(false);
  });

  it('does not hold for another key, although keys print alike', () => {
    const spec = firstSpec();
    expect(sameSpec(spec, { ...spec, psk: Secret.fromText('another') })).toBe(false);
  });
});

describe('registeredPeers', () => {
  const zone = { endpoint: ip('198.51.100.20'), msftAsn: 65476, msftBgpAddress: ip('169.254.21.2'), region: 'fr' };
  const answer: RegisteredLink[] = [
    {
      name: 'fiber',
      linkId: 'dl-1',
      zones: [
        { ...zone, zone: 1 },
        { ...zone, zone: 2 },
      ],
    },
    { name: 'removed', linkId: 'dl-2', zones: [{ ...zone, zone: 1 }] },
  ];

  it("gives each zone its own key, and forgets links that the configuration doesn't name", () => {
    const peers = registeredPeers(branchConfig(), answer, () => held('one', 'two'));
    expect(peers.map((peer) => [peer.link.name, peer.zone, peer.psk.revealText()])).toEqual([
      ['fiber', 1, 'one'],
      ['fiber', 2, 'two'],
    ]);
  });

  it('leaves out a zone whose key nobody knows: it could not authenticate', () => {
    expect(registeredPeers(branchConfig(), answer, () => held('one'))).toHaveLength(1);
    expect(registeredPeers(branchConfig(), answer, () => held())).toEqual([]);
  });

  it('hands on the address that the link was registered with', () => {
    const registeredIp = ip('203.0.113.7');
    const peers = registeredPeers(branchConfig(), answer, () => ({ ...held('one', 'two'), registeredIp }));
    expect(tunnelSpecs(branchConfig(), peers).map((spec) => spec.registeredIp)).toEqual([registeredIp]);
  });
});

const held = (...psks: string[]): HeldFacts => ({ psks: psks.map(Secret.fromText), registeredIp: undefined });

/** A second link that differs only by name; the configuration check would ask for more, tunnelSpecs does not. */
function twoLinks(): Config {
  const config = branchConfig();
  return { ...config, links: [...config.links, { ...onlyLink(config), name: 'dsl' }] };
}
