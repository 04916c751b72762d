import type { FibPermit, FibTunnel } from '../../../src/fib/types.ts';
import { ip, prefix } from '../../../src/lib/ip.ts';
import type { FibInput } from './fib-plan.ts';

/** Two zones: tw0 (index 10) to 169.254.21.2 and tw1 (index 11) to 169.254.22.2, one local BGP address on both. */
export function twoZones(change: Partial<FibInput> = {}): FibInput {
  const local = ip('169.254.21.1');
  return {
    bgpLocalAddresses: [
      { address: local, interface: 'tw0' },
      { address: local, interface: 'tw1' },
    ],
    tunnels: [tunnel(0), tunnel(1)],
    routes: [],
    announced: [],
    permits: [],
    ...change,
  };
}

export function tunnel(number: number, change: Partial<FibTunnel> = {}): FibTunnel {
  const bgpPeers = [ip(`169.254.${21 + number}.2`)];
  return {
    interface: `tw${number}`,
    interfaceIndex: 10 + number,
    up: true,
    learns: true,
    returning: false,
    weight: 1,
    bgpPeers,
    ...change,
  };
}

export const route = (text: string, ...via: string[]) => ({ prefix: prefix(text), via });

export function permit(source: string, use: FibPermit['use'], change: Partial<FibPermit> = {}): FibPermit {
  return { source: prefix(source), interface: undefined, destination: undefined, use, ...change };
}

export const names = (index: number): string => (index === 1 ? 'lo' : `tw${index - 10}`);
