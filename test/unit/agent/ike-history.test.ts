import { describe, expect, it } from 'vitest';
import { IkeHistory } from '../../../src/agent/ike-history.ts';
import type { IkeHistoryEvent } from '../../../src/ike/types.ts';
import type { JournalRecord } from '../../../src/io/journal.ts';
import { exchange } from './exchange.ts';

const HOUR_MS = 3_600_000;
const CHECK = { exchange: 'INFORMATIONAL', proposal: '' } as const;
const FAILURE = { result: 'failed', reason: 'wrong key' } as const;

describe('IkeHistory', () => {
  it('takes up where an earlier run ended, and does not write its rows again', () => {
    const first = new Run();
    first.add('fiber/1', { messageId: 1, durationMs: 12.25 }, 1_000);
    first.add('lte/2', { ...FAILURE, messageId: 2 }, 2_000);
    const second = new Run(first.written);
    second.add('fiber/1', { messageId: 3 }, 3_000);
    expect(second.written).toHaveLength(1);
    expect(second.all()).toEqual([
      { ...exchange({ messageId: 3 }), tunnel: 'fiber/1', time: new Date(3_000) },
      { ...exchange({ ...FAILURE, messageId: 2 }), tunnel: 'lte/2', time: new Date(2_000) },
      { ...exchange({ messageId: 1, durationMs: 12.25 }), tunnel: 'fiber/1', time: new Date(1_000) },
    ]);
  });

  it.each<[string, unknown]>([
    ['no object', 'IKE_AUTH'],
    ['nothing', null],
    ['a list', []],
    ['a field missing', { ...record(), peer: undefined }],
    ['a number as text', { ...record(), durationMs: '12' }],
    ['text as a number', { ...record(), tunnel: 1 }],
    ['an exchange that does not exist', { ...record(), exchange: 'toString' }],
    ['a result that does not exist', { ...record(), result: 'maybe' }],
    ['a time that does not exist', { ...record(), time: '2026-13-01T00:00:00Z' }],
  ])('passes over a line that holds %s', (_, line) => {
    expect(new Run([line, record()]).all()).toHaveLength(1);
  });

  it('takes rows that were written before there were proposals of both ends, notifies and NAT', () => {
    const { proposalLocal, proposalPeer, notifySent, notifyReceived, nat, ...before } = record();
    const [row] = new Run([before]).all();
    const unknown = { proposalLocal: '', proposalPeer: '', notifySent: '', notifyReceived: '', nat: '' };
    expect(row).toEqual({ ...exchange({}), ...unknown, tunnel: 'fiber/1', time: new Date(0) });
    expect(
      new Run([
        { ...record(), nat: 'toString' },
        { ...record(), notifySent: 1 },
      ]).all(),
    ).toEqual([]);
  });

  it('ignores what a line holds beside a row', () => {
    const [row] = new Run([{ ...record(), psk: 'x' }]).all();
    expect(row).toEqual({ ...exchange({}), tunnel: 'fiber/1', time: new Date(0) });
  });

  it('keeps a healthy tunnel its rows however often another one fails', () => {
    const run = new Run();
    for (let i = 1; i <= 20; i++) run.add('fiber/1', { messageId: i });
    for (let i = 1; i <= 5_000; i++)
      run.add('lte/1', { ...FAILURE, reason: i % 2 ? 'wrong key' : 'no key', messageId: i });
    expect(run.idsOf('fiber/1')).toEqual(Array.from({ length: 20 }, (_, i) => 20 - i));
    expect(run.idsOf('lte/1')).toHaveLength(980);
    expect(run.idsOf('lte/1')[0]).toBe(5_000);
  });

  it('holds 1,000 rows whatever the tunnels are called, and whatever a journal brings', () => {
    const run = new Run(Array.from({ length: 3_000 }, (_, i) => record({ messageId: i })));
    expect(run.all()).toHaveLength(1_000);
    for (let i = 0; i < 3_000; i++) run.add(`tunnel/${i}`, {});
    expect(run.all()).toHaveLength(1_000);
    expect(run.idsOf('tunnel/2999')).toHaveLength(1);
  });

  it('keeps of the liveness checks of an SA the newest in each direction', () => {
    const run = new Run();
    const check = (messageId: number, changes: Partial<IkeHistoryEvent> = {}): void =>
      run.add('fiber/1', { ...CHECK, messageId, ...changes });
    run.add('fiber/1', { messageId: 1 });
    for (const id of [2, 3, 4]) check(id);
    for (const id of [0, 1]) check(id, { direction: 'in' });
    check(5, { reason: 'deleted by us' });
    check(6, { result: 'timeout', reason: 'dead' });
    check(2, { spiI: 'aaaaaaaaaaaaaaaa' });
    run.add('lte/1', { ...CHECK, messageId: 9 });
    expect(run.idsOf('fiber/1')).toEqual([2, 6, 5, 1, 4, 1]);
    expect(run.idsOf('lte/1')).toEqual([9]);
  });

  it('keeps of a failure that repeats itself the first row and the last', () => {
    const run = new Run();
    const silence = (messageId: number, port: number): void =>
      run.add('fiber/1', { result: 'timeout', reason: `no answer on port ${port}`, messageId });
    run.add('fiber/1', FAILURE);
    for (const id of [2, 3, 4, 5]) silence(id, id % 2 ? 500 : 4500);
    run.add('lte/1', { result: 'timeout', reason: 'no answer on port 500' });
    silence(6, 500);
    run.add('fiber/1', { messageId: 7 });
    for (const id of [8, 9]) silence(id, 500);
    expect(run.idsOf('fiber/1')).toEqual([9, 8, 7, 6, 2, 1]);
    expect(run.idsOf('lte/1')).toHaveLength(1);
  });

  it('tells a failure anew after the tunnel came up', () => {
    const run = new Run();
    for (const changes of [FAILURE, FAILURE, {}, FAILURE, FAILURE]) run.add('fiber/1', changes);
    expect(run.written.map(({ result }) => result)).toEqual(['failed', 'ok', 'failed']);
  });

  it.each<[string, Partial<IkeHistoryEvent>]>([
    ['a liveness check', CHECK],
    ['a failure that repeats itself', FAILURE],
    ['silence that goes on', { result: 'timeout', reason: 'no answer' }],
  ])('writes %s once an hour', (_, changes) => {
    const run = new Run();
    for (let second = 0; second <= 7_200; second += 10) run.add('fiber/1', changes, second * 1_000);
    expect(run.written.map(({ time }) => time)).toEqual(
      [0, 1, 2].map((hour) => new Date(hour * HOUR_MS).toISOString()),
    );
  });

  it('sees that a failure repeats itself although its numbers differ', () => {
    const run = new Run();
    for (const reason of ['no answer (4 requests in 7.8 s)', 'no answer (5 requests in 10.25 s)'])
      run.add('fiber/1', { result: 'timeout', reason });
    expect(run.written).toMatchObject([{ reason: 'no answer (4 requests in 7.8 s)' }]);
  });

  it('writes what differs, what succeeds and what another tunnel says at once', () => {
    const run = new Run();
    run.add('fiber/1', FAILURE);
    run.add('fiber/1', { ...FAILURE, reason: 'no proposal chosen' });
    run.add('fiber/1', { ...FAILURE, peer: '198.51.100.84' });
    run.add('fiber/2', FAILURE);
    for (const exchangeName of ['IKE_SA_INIT', 'CREATE_CHILD_SA', 'CREATE_CHILD_SA'] as const)
      run.add('fiber/1', { exchange: exchangeName });
    expect(run.written).toHaveLength(7);
  });

  it('goes on writing after the clock was set back', () => {
    const run = new Run();
    run.add('fiber/1', FAILURE, 100 * HOUR_MS);
    run.add('fiber/1', FAILURE, HOUR_MS);
    expect(run.written).toHaveLength(2);
  });

  it('remembers a bounded number of failures, the recent ones', () => {
    const run = new Run();
    const fail = (i: number): void => run.add('fiber/1', { result: 'failed', reason: 'x'.repeat(i) });
    for (let i = 0; i < 300; i++) fail(i);
    fail(299);
    expect(run.written).toHaveLength(300);
    fail(0);
    expect(run.written).toHaveLength(301);
  });
});

/** One run of the daemon on what earlier ones wrote. */
class Run {
  readonly written: JournalRecord[] = [];
  readonly #history = new IkeHistory();

  constructor(records: readonly unknown[] = []) {
    this.#history.recall(records, { append: (line) => void this.written.push(line), close: async () => undefined });
  }

  add(tunnel: string, changes: Partial<IkeHistoryEvent>, timeMs = 0): void {
    this.#history.add({ ...exchange(changes), tunnel, time: new Date(timeMs) });
  }

  all() {
    return this.#history.rows({ tunnel: undefined, limit: 10_000 });
  }

  idsOf(tunnel: string): number[] {
    return this.#history.rows({ tunnel, limit: 10_000 }).map(({ messageId }) => messageId);
  }
}

function record(changes: Partial<IkeHistoryEvent> = {}) {
  return { ...exchange(changes), tunnel: 'fiber/1', time: '1970-01-01T00:00:00.000Z' };
}
