import { describe, expect, it } from 'vitest';
import { ReceivedPrefixes } from '../../../src/bgp/received-prefixes.ts';

describe('ReceivedPrefixes', () => {
  it('tells once that the limit is near, and once that it is passed', () => {
    const received = limited(100);
    expect(steps(received, 1, 75)).toEqual([]);
    expect(steps(received, 76, 100)).toEqual(['near']);
    expect(steps(received, 101, 300)).toEqual(['beyond']);
    for (let key = 1; key <= 250; key++) received.delete(key);
    expect(steps(received, 1, 200)).toEqual([]);
  });

  it('forgets what it has told with the session', () => {
    const received = limited(10);
    expect(steps(received, 1, 20)).toEqual(['near', 'beyond']);
    received.clear();
    expect(received.size).toBe(0);
    expect(steps(received, 1, 20)).toEqual(['near', 'beyond']);
  });

  it('does not count twice what is told once more, nor at its end what was left out', () => {
    const received = limited(100);
    steps(received, 1, 50);
    received.beginOfTable();
    steps(received, 11, 60);
    expect(received.size).toBe(60);
    received.endOfTable();
    expect(received.size).toBe(50);
    received.delete(11);
    expect(received.size).toBe(49);
  });

  it('takes a second beginning before the end as one over all that there is', () => {
    const received = limited(100);
    steps(received, 1, 10);
    received.beginOfTable();
    steps(received, 1, 5);
    received.beginOfTable();
    steps(received, 10, 12);
    received.endOfTable();
    expect(received.size).toBe(3);
  });
});

const limited = (prefixes: number) => new ReceivedPrefixes({ prefixes, beyond: 'warn', restartAfterMs: 0 });

function steps(received: ReceivedPrefixes, from: number, to: number): string[] {
  const seen: string[] = [];
  for (let key = from; key <= to; key++) {
    received.add(key);
    const step = received.step();
    if (step !== undefined) seen.push(step);
  }
  return seen;
}
