import { describe, expect, it } from 'vitest';
import { routingPolicy } from '../../../src/agent/routing-policy.ts';
import type { FibPermit } from '../../../src/fib/types.ts';
import { formatPrefix, ip } from '../../../src/lib/ip.ts';
import { branchConfig, zonePeers } from './zone-peers.ts';

describe('routingPolicy', () => {
  it('keeps the order of the policies, because the first match wins', () => {
    expect(permitsOf()).toEqual([
      '10.1.20.0/24 lan0 to 198.51.100.128/25: wan',
      '10.1.20.0/24 lan0 to learned: tunnels-only',
    ]);
  });

  it('gives each prefix of a network its row per destination, and none to a network that no policy names', () => {
    const rows = permitsOf((yaml) =>
      yaml
        .replace('prefixes: [10.1.20.0/24]', 'prefixes: [10.1.20.0/24, 10.1.21.0/24]')
        .replace(
          'networks:  ',
          'networks:\n  - { name: guests, interface: lan1, prefixes: [10.9.0.0/16], advertise: false }\n#',
        )
        .replace('[198.51.100.128/25]', '[198.51.100.128/25, 192.0.2.0/24]'),
    );
    expect(rows).toEqual([
      '10.1.20.0/24 lan0 to 198.51.100.128/25: wan',
      '10.1.20.0/24 lan0 to 192.0.2.0/24: wan',
      '10.1.21.0/24 lan0 to 198.51.100.128/25: wan',
      '10.1.21.0/24 lan0 to 192.0.2.0/24: wan',
      '10.1.20.0/24 lan0 to learned: tunnels-only',
      '10.1.21.0/24 lan0 to learned: tunnels-only',
    ]);
  });

  it('lets a row fail open when it says so, closed otherwise; the first row for what is learned decides', () => {
    const rows = permitsOf((yaml) =>
      yaml.replace(
        /^policies:/m,
        'policies:\n  - { id: 1, from: [staff], to: { prefixes: [52.112.0.0/14] }, failure: open }\n' +
          '  - { id: 2, from: [staff], to: { prefixes: [203.0.113.0/24] } }\n' +
          '  - { id: 3, from: [staff], to: learned, failure: open }',
      ),
    );
    expect(rows).toEqual([
      '10.1.20.0/24 lan0 to 52.112.0.0/14: tunnels-first',
      '10.1.20.0/24 lan0 to 203.0.113.0/24: tunnels-only',
      '10.1.20.0/24 lan0 to learned: tunnels-first',
      '10.1.20.0/24 lan0 to 198.51.100.128/25: wan',
    ]);
  });

  it('sends probes of addresses through the tunnels, and leaves names to DNS', () => {
    expect(policy().statics.map(formatPrefix)).toEqual(['198.18.1.101/32']);
    expect(policy((yaml) => yaml.replace('198.18.1.101', 'probe.example.net')).statics).toEqual([]);
  });

  it('gives each tunnel the weight of its link', () => {
    const weighted = policy((yaml) => yaml.replace('redundancy: zone', 'redundancy: zone\n    weight: 3'));
    expect([...weighted.weights]).toEqual([
      ['tw0', 3],
      ['tw1', 3],
    ]);
  });

  it('protects what no peer may draw away: our BGP addresses, WAN addresses, endpoints, LAN networks', () => {
    expect(policy().protected.map(({ prefix, what }) => `${formatPrefix(prefix)} ${what}`)).toEqual([
      '169.254.21.1/32 our own BGP address',
      "169.254.21.2/32 a peer's BGP address",
      "169.254.22.2/32 a peer's BGP address",
      '192.0.2.10/32 the WAN address 192.0.2.10',
      '198.51.100.20/32 the tunnel endpoint 198.51.100.20',
      '198.51.100.84/32 the tunnel endpoint 198.51.100.84',
      '10.1.20.0/24 the LAN network staff (10.1.20.0/24)',
    ]);
  });

  it('protects no WAN address while there is none', () => {
    const { protected: prefixes } = routingPolicy(branchConfig(), [], () => undefined);
    expect(prefixes.map(({ what }) => what).join()).not.toContain('WAN');
  });

  it('allows a default route only to who subscribed to the internet profile', () => {
    expect(policy().allowDefaultRoute).toBe(false);
    expect(policy((yaml) => yaml.replace('profiles: [m365]', 'profiles: [m365, internet]')).allowDefaultRoute).toBe(
      true,
    );
  });
});

function policy(change?: (yaml: string) => string) {
  const config = branchConfig(change);
  return routingPolicy(config, zonePeers(config), () => ip('192.0.2.10'));
}

const permitsOf = (change?: (yaml: string) => string): string[] => policy(change).permits.map(line);

const line = ({ source, interface: name, destination, use }: FibPermit): string =>
  `${formatPrefix(source)} ${name} to ${destination === undefined ? 'learned' : formatPrefix(destination)}: ${use}`;
