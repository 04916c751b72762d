import { describe, expect, it } from 'vitest';
import { OneAtATime } from '../../../src/agent/one-at-a-time.ts';

describe('OneAtATime', () => {
  it('answers requests during a run with one more run, after it', async () => {
    const runs: (() => void)[] = [];
    const jobs = new OneAtATime(() => new Promise((resolve) => runs.push(resolve)), fail);
    for (let i = 0; i < 5; i++) jobs.request();
    expect(runs).toHaveLength(1);
    runs[0]?.();
    await settle();
    expect(runs).toHaveLength(2);
    runs[1]?.();
    await settle();
    expect(runs).toHaveLength(2);
    jobs.request();
    expect(runs).toHaveLength(3);
  });

  it('goes on after a run that failed, and tells of it', async () => {
    const errors: unknown[] = [];
    let runs = 0;
    const jobs = new OneAtATime(
      async () => {
        if (++runs === 1) throw new Error('the file is gone');
      },
      (error) => errors.push(error),
    );
    jobs.request();
    await settle();
    jobs.request();
    await settle();
    expect([runs, errors]).toEqual([2, [new Error('the file is gone')]]);
  });
});

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const fail = (error: unknown): never => {
  throw error;
};
