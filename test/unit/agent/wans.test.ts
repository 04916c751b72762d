import { describe, expect, it } from 'vitest';
import { Wans } from '../../../src/agent/wans.ts';
import { ManualClock } from './manual-clock.ts';

describe('Wans', () => {
  it('reads once more for any number of notifications during a read', async () => {
    const { wans, dumps } = setUp();
    const first = wans.refresh();
    for (let i = 0; i < 10; i++) void wans.refresh();
    await first;
    expect(dumps.count).toBe(2 * DUMPS_PER_READ);
  });

  it('reads again by itself, also after a read that failed', async () => {
    const { wans, clock, dumps, errors } = setUp();
    dumps.failure = new Error('ENOBUFS');
    await wans.refresh();
    expect(errors).toEqual([new Error('ENOBUFS')]);
    dumps.failure = undefined;
    dumps.count = 0;
    await clock.advance(5_000);
    expect(dumps.count).toBe(DUMPS_PER_READ);
  });

  it('is quiet after close, also when a read was under way', async () => {
    const { wans, clock, dumps, errors } = setUp();
    dumps.failure = new Error('the netlink socket was closed');
    const reading = wans.refresh();
    wans.close();
    await reading;
    await clock.advance(60_000);
    await wans.refresh();
    expect([dumps.count, errors, clock.nextMs()]).toEqual([1, [], undefined]);
  });

  it('knows no address of an interface that is not there', async () => {
    const { wans } = setUp();
    await wans.refresh();
    expect(wans.address('eth0')).toBeUndefined();
  });
});

/** Links, addresses, routes. */
const DUMPS_PER_READ = 3;

function setUp() {
  const clock = new ManualClock();
  const dumps: { count: number; failure: Error | undefined } = { count: 0, failure: undefined };
  const errors: unknown[] = [];
  const dump = async () => {
    dumps.count++;
    if (dumps.failure !== undefined) throw dumps.failure;
    return [];
  };
  const wans = new Wans(dump, clock, (error) => errors.push(error));
  return { wans, clock, dumps, errors };
}
