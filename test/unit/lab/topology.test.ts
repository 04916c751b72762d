import { describe, expect, it } from 'vitest';
import { MICROSOFT_PREFIXES } from '../../../src/lab/microsoft-prefixes.ts';
import { cabling, NODES, nodeSetup, ZONES } from '../../../src/lab/topology.ts';
import { hostPrefix, ip, maskedPrefix, prefix, prefixContains, prefixesOverlap } from '../../../src/lib/ip.ts';

describe.each([true, false])('topology, NAT %s', (nat) => {
  it('gives every end of a cable an address in the network of the other end', () => {
    for (const [near, nearDevice, far, farDevice] of cables()) {
      const networks = [networkOf(near, nearDevice, nat), networkOf(far, farDevice, nat)];
      expect(networks[0], `${near} ${nearDevice}`).toEqual(networks[1]);
    }
  });

  it('routes by default to a neighbour', () => {
    for (const node of NODES.filter((name) => name !== 'router')) {
      const { batch } = nodeSetup(node, nat);
      const router = /via (\S+)/.exec(batch.find((line) => line.startsWith('route add default')) ?? '')?.[1] ?? '';
      const onLink = addressesOf(node, nat).some((cidr) => prefixContains(networkOfCidr(cidr), hostPrefix(ip(router))));
      expect(onLink, `${node} via ${router}`).toBe(true);
    }
  });
});

describe('the far side', () => {
  it('has its own addresses outside of what it announces, or tunnels would swallow themselves', () => {
    const outer = [...ZONES.map(({ endpoint }) => endpoint), '192.0.2.10'].map((address) => hostPrefix(ip(address)));
    for (const announced of MICROSOFT_PREFIXES.map(prefix)) {
      expect(outer.some((address) => prefixesOverlap(address, announced))).toBe(false);
    }
  });

  it('announces 25 different prefixes', () => {
    expect(new Set(MICROSOFT_PREFIXES).size).toBe(25);
  });
});

type Cable = readonly [
  near: (typeof NODES)[number],
  nearDevice: string,
  far: (typeof NODES)[number],
  farDevice: string,
];

function cables(): Cable[] {
  return cabling().flatMap((line): Cable[] => {
    const words = /^link add (\S+) netns (\S+) type veth peer name (\S+) netns (\S+)$/.exec(line);
    const [, nearDevice = '', near = '', farDevice = '', far = ''] = words ?? [];
    return words === null ? [] : [[near as Cable[0], nearDevice, far as Cable[0], farDevice]];
  });
}

function addressesOf(node: Cable[0], nat: boolean, device = '\\S+'): string[] {
  const pattern = new RegExp(`^addr add (\\S+) dev ${device}$`);
  return nodeSetup(node, nat).batch.flatMap((line) => pattern.exec(line)?.[1] ?? []);
}

const networkOf = (node: Cable[0], device: string, nat: boolean) =>
  networkOfCidr(addressesOf(node, nat, device)[0] ?? '0.0.0.0/0');

function networkOfCidr(cidr: string) {
  const [address = '', length = ''] = cidr.split('/');
  return maskedPrefix(ip(address), Number(length));
}
