import { describe, expect, it } from 'vitest';
import { formatTotal, summarise, total } from '../../../src/lab/ping/statistics.ts';

const REQUEST = { from: '10.1.20.11', to: '198.18.1.101', device: undefined, sent: 4 };

describe('ping statistics', () => {
  it('counts what came back and how long it took', () => {
    expect(summarise(REQUEST, [1, 2, 6])).toEqual({
      ...REQUEST,
      received: 3,
      roundTripMs: { min: 1, average: 3, max: 6 },
    });
  });

  it('has no round trip when nothing came back', () => {
    expect(summarise(REQUEST, []).roundTripMs).toBeUndefined();
  });

  it('weighs the average of a sum by replies', () => {
    const sum = total([summarise(REQUEST, [1, 1, 1]), summarise(REQUEST, [5]), summarise(REQUEST, [])]);
    expect(sum).toEqual({ sent: 12, received: 4, averageMs: 2 });
    expect(formatTotal(sum)).toBe('4/12 replies, 2.00 ms on average');
    expect(formatTotal(total([]))).toBe('0/0 replies');
  });
});
