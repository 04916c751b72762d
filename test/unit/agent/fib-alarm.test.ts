import { expect, it } from 'vitest';
import { Alarms } from '../../../src/agent/alarms.ts';
import { EventLog } from '../../../src/agent/event-log.ts';
import { FibAlarm } from '../../../src/agent/fib-alarm.ts';
import { instant } from '../../../src/lib/time.ts';

const WALL = () => new Date(0);

it('is raised when the kernel stays behind for 15 s, and cleared when it has caught up', () => {
  const { at, codes, said } = setUp();
  at(0, { desired: 10, installed: 4, failed: 0 });
  at(14_999, { desired: 12, installed: 4, failed: 0 });
  expect(codes()).toEqual([]);
  at(15_000, { desired: 12, installed: 4, failed: 1 });
  expect(codes()).toEqual(['fib-behind']);
  expect(said()).toEqual([expect.stringMatching(/^the kernel holds 4 of 12 routes, and refused 1: /)]);
  at(16_000, { desired: 12, installed: 4, failed: 1 });
  expect(said()).toHaveLength(1);
  at(17_000, { desired: 12, installed: 12, failed: 0 });
  expect(codes()).toEqual([]);
  expect(said().at(-1)).toBe('the kernel holds all 12 routes again');
});

it('is not raised by one that is behind again and again, for less', () => {
  const { at, codes } = setUp();
  for (let second = 0; second < 100; second += 10) {
    at(second * 1_000, { desired: 10, installed: 0, failed: 0 });
    at((second + 9) * 1_000, { desired: 10, installed: 10, failed: 0 });
  }
  expect(codes()).toEqual([]);
});

function setUp() {
  const [alarms, log] = [new Alarms(WALL), new EventLog(WALL)];
  let counters = { desired: 0, installed: 0, failed: 0 };
  const alarm = new FibAlarm({ alarms, log }, () => counters);
  return {
    at: (ms: number, now: typeof counters) => {
      counters = now;
      alarm.tick(instant(ms));
    },
    codes: () => alarms.list().map(({ code }) => code),
    said: () => log.after(0).map(({ message }) => message),
  };
}
