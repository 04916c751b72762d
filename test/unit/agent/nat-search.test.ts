import { describe, expect, it } from 'vitest';
import { natSearchSteps } from '../../../src/agent/nat-search.ts';
import { formatPrefix, ip } from '../../../src/lib/ip.ts';

const KNOWN = ['203.0.113.7', '192.168.1.2', '203.0.113.99', '203.0.113.7'].map(ip);

describe('where to look for the address behind a NAT', () => {
  const hosts = [
    '203.0.113.7/32 500',
    '192.168.1.2/32 500',
    '203.0.113.99/32 500',
    '203.0.113.7/32 4500',
    '192.168.1.2/32 4500',
    '203.0.113.99/32 4500',
    '203.0.113.7/32 every',
    '192.168.1.2/32 every',
    '203.0.113.99/32 every',
  ];
  const around = ['203.0.0.0/16 500', '203.0.113.0/24 every'];

  it.each([
    ['known', hosts],
    ['near', [...hosts, ...around]],
    ['all', [...hosts, ...around, '0.0.0.0/0 500']],
  ] as const)('%s: the likeliest first, each once, and nothing around private addresses', (extent, steps) => {
    expect(shown(natSearchSteps(extent, KNOWN, 500))).toEqual(steps);
  });

  it('begins with the port that we sent from', () => {
    expect(shown(natSearchSteps('known', [ip('203.0.113.7')], 4500))).toEqual([
      '203.0.113.7/32 4500',
      '203.0.113.7/32 500',
      '203.0.113.7/32 every',
    ]);
  });

  it('is nowhere when nothing is known', () => {
    expect(natSearchSteps('near', [], 500)).toEqual([]);
  });
});

const shown = (steps: ReturnType<typeof natSearchSteps>): string[] =>
  steps.map(({ within, port }) => `${formatPrefix(within)} ${port}`);
