import { describe, expect, it } from 'vitest';
import { Alarms } from '../../../src/agent/alarms.ts';
import { EventLog } from '../../../src/agent/event-log.ts';
import type { IkeHistoryEvent } from '../../../src/ike/types.ts';
import { exchange } from './exchange.ts';
import { ManualClock } from './manual-clock.ts';

describe('EventLog', () => {
  it('numbers events without gaps and gives those after an id, oldest first', () => {
    const { log } = setUp();
    for (const message of ['a', 'b', 'c']) log.add('info', 'test', message);
    expect(log.after(1).map(({ id, message }) => [id, message])).toEqual([
      [2, 'b'],
      [3, 'c'],
    ]);
  });

  it('keeps the newest 2,000 events and 1,000 exchanges, however many come', () => {
    const { log } = setUp();
    for (let i = 1; i <= 5_000; i++) log.add('info', 'test', `${i}`);
    for (let i = 1; i <= 3_000; i++) log.addExchange('fiber/1', exchange({ messageId: i }));
    expect(log.after(0)).toHaveLength(2_000);
    expect(log.after(0)[0]?.id).toBe(3_001);
    const history = log.history({ tunnel: undefined, limit: 10_000 });
    expect(history).toHaveLength(1_000);
    expect([history[0]?.messageId, history.at(-1)?.messageId]).toEqual([3_000, 2_001]);
  });

  it('gives the history of one tunnel, newest first, at most as many rows as asked for', () => {
    const { log } = setUp();
    for (let i = 1; i <= 4; i++) log.addExchange(`fiber/${(i % 2) + 1}`, exchange({ messageId: i }));
    const ids = (limit: number) => log.history({ tunnel: 'fiber/2', limit }).map(({ messageId }) => messageId);
    expect([ids(9), ids(1), ids(0)]).toEqual([[3, 1], [3], []]);
  });

  it.each<[string, Partial<IkeHistoryEvent>, string[]]>([
    ['a plain success', {}, []],
    ['a retry', { result: 'retry', reason: 'the peer asked for its cookie' }, []],
    ["the peer's own request", { direction: 'in', reason: 'the peer deleted the IKE SA' }, []],
    ['a failure', { result: 'failed', reason: 'wrong key' }, ['IKE_AUTH failed: wrong key']],
    ['silence', { result: 'timeout', reason: 'no answer' }, ['IKE_AUTH timeout: no answer']],
    ['a success with a remark', { reason: 'another identity' }, ['IKE_AUTH ok: another identity']],
  ])('makes an event of an exchange only where the operator should look: %s', (_, changes, messages) => {
    const { log } = setUp();
    log.addExchange('fiber/1', exchange(changes));
    expect(log.after(0).map(({ message }) => message)).toEqual(messages);
    expect(log.history({ tunnel: undefined, limit: 9 })).toHaveLength(1);
  });

  it('makes one event of a failure that repeats itself, and another after a success', () => {
    const { log } = setUp();
    const failure = exchange({ result: 'timeout', reason: 'no answer' });
    for (const each of [failure, failure, exchange({}), failure]) log.addExchange('fiber/1', each);
    expect(log.after(0)).toHaveLength(2);
  });

  it('tells each listener each event once, until it unsubscribes', () => {
    const { log } = setUp();
    const heard: string[] = [];
    const unsubscribe = log.subscribe(({ message }) => heard.push(message));
    log.add('info', 'test', 'a');
    unsubscribe();
    log.add('info', 'test', 'b');
    expect(heard).toEqual(['a']);
  });
});

describe('Alarms', () => {
  it('keep the time they began, and are news only when they say something else', async () => {
    const clock = new ManualClock();
    const alarms = new Alarms(() => clock.wall());
    expect(alarms.raise('disk', 'warning', 'almost full')).toBe(true);
    await clock.advance(1_000);
    expect(alarms.raise('disk', 'warning', 'almost full')).toBe(false);
    expect(alarms.raise('disk', 'critical', 'full')).toBe(true);
    expect(alarms.list()).toEqual([{ code: 'disk', severity: 'critical', message: 'full', since: new Date(0) }]);
    expect([alarms.clear('disk'), alarms.clear('disk'), alarms.list()]).toEqual([true, false, []]);
  });
});

function setUp() {
  const clock = new ManualClock();
  return { clock, log: new EventLog(() => clock.wall()) };
}
