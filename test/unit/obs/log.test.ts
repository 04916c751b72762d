import { mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLog, type LogLevel, logTo } from '../../../src/obs/log.ts';

describe('logTo', () => {
  it('writes one JSON line per event, with its time and fields', () => {
    const { log, lines } = recorder('info');
    log.info({ evt: 'tunnel-up', link: 'fiber', zone: 1, peer: '198.51.100.20' }, 'tunnel fiber/1 is up');
    expect(lines()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        evt: 'tunnel-up',
        link: 'fiber',
        zone: 1,
        peer: '198.51.100.20',
        msg: 'tunnel fiber/1 is up',
      },
    ]);
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = recorder('warn');
    log.debug({ evt: 'a' }, 'a');
    log.info({ evt: 'b' }, 'b');
    log.warn({ evt: 'c' }, 'c');
    log.error({ evt: 'd' }, 'd');
    expect(lines().map((line) => line['evt'])).toEqual(['c', 'd']);
  });

  it('prints the stack of an error', () => {
    const { log, lines } = recorder('info');
    log.error({ evt: 'bug', err: new RangeError('no such tunnel') }, 'restarting');
    expect(lines()[0]?.['err']).toMatchObject({ type: 'RangeError', message: 'no such tunnel' });
  });

  it('masks fields that are named like secrets', () => {
    const { log, text } = recorder('info');
    log.info({ evt: 'x', psk: 'hunter2', client_secret: 'hunter3', token: 'hunter4' }, 'x');
    expect(text()).not.toMatch(/hunter/);
  });
});

describe('createLog', () => {
  it('has written everything when flush returns', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'tw-log-')), 'log');
    const log = createLog({ level: 'info', fd: openSync(file, 'w') });
    for (let i = 0; i < 2_000; i++) log.info({ evt: 'count', i }, 'line');
    log.flush();
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).i)).toEqual(Array.from({ length: 2_000 }, (_, i) => i));
  });
});

function recorder(level: LogLevel) {
  const written: string[] = [];
  const log = logTo({ write: (line) => void written.push(line) }, level, () => undefined);
  return {
    log,
    text: () => written.join(''),
    lines: () => written.map((line): Record<string, unknown> => JSON.parse(line)),
  };
}
