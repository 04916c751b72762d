import { describe, expect, it } from 'vitest';
import { type Change, Passes } from '../../../src/agent/passes.ts';

describe('Passes', () => {
  it('are one for the changes of a turn, for the most that any of them concerns', async () => {
    const { passes, ran, finish } = setUp();
    void passes.request('routes', ['tw0']);
    await settle();
    finish();
    await settle();
    ran.length = 0;
    const both = [passes.request('routes', ['tw0']), passes.request('sessions', ['tw1'])];
    expect(both[0]).toBe(both[1]);
    await settle();
    expect(ran).toEqual(['sessions']);
    finish();
    await Promise.all(both);
    void passes.request('routes', []);
    await settle();
    expect(ran).toEqual(['sessions', 'routes']);
  });

  it('know which tunnels wait, until the pass that began after their change is done', async () => {
    const { passes, finish } = setUp();
    const first = passes.request('devices', ['tw0']);
    expect(waiting(passes)).toEqual(['tw0']);
    await settle();
    const second = passes.request('routes', ['tw1']);
    expect(waiting(passes)).toEqual(['tw0', 'tw1']);
    await settle();
    finish();
    await first;
    expect(waiting(passes)).toEqual(['tw1']);
    finish();
    await second;
    expect(waiting(passes)).toEqual([]);
  });
});

function setUp() {
  const ran: Change[] = [];
  const waiters: (() => void)[] = [];
  const passes = new Passes((change) => {
    ran.push(change);
    return new Promise((resolve) => waiters.push(resolve));
  });
  return { passes, ran, finish: () => waiters.shift()?.() };
}

const waiting = (passes: Passes): string[] => ['tw0', 'tw1', 'tw2'].filter((tunnel) => passes.isWaiting(tunnel));
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
