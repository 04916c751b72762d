import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal, type JournalOptions } from '../../../src/io/journal.ts';
import { ManualClock } from '../agent/manual-clock.ts';

let root: string;
let directory: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tunwright-journal-'));
  directory = join(root, 'history');
});
afterEach(() => rmSync(root, { recursive: true }));

describe('Journal', () => {
  it('gives back what earlier runs wrote, in order, readable by the owner only', async () => {
    expect(await write(1, 3)).toEqual([]);
    expect(await write(4, 5)).toEqual([1, 2, 3]);
    expect(await read()).toEqual([1, 2, 3, 4, 5]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(segment(1)).mode & 0o777).toBe(0o600);
  });

  it('hands lines to the kernel without being closed, many in one write', async () => {
    const disk = new Disk();
    const { journal } = await openJournal({ append: disk.append });
    for (let i = 1; i <= 100; i++) journal.append({ i });
    await disk.ended(2);
    expect(await read()).toEqual(range(1, 100));
  });

  it('loses the line that a kill tore, and no other, wherever it was cut', async () => {
    await write(1, 3);
    const whole = readFileSync(segment(1));
    const lastLine = whole.lastIndexOf('\n', whole.length - 2) + 1;
    for (let length = lastLine; length < whole.length; length++) {
      writeFileSync(segment(1), whole.subarray(0, length));
      expect(await write(4, 4)).toEqual([1, 2]);
      expect(await read()).toEqual([1, 2, 4]);
    }
  });

  it('passes over damaged lines', async () => {
    await write(1, 1);
    appendFileSync(segment(1), `${'\0'.repeat(64)}\nnot JSON\n\n{"i":2}\n`);
    expect(await read()).toEqual([1, 2]);
  });

  it('keeps the newest segments, none larger than its bound', async () => {
    const bounds = { segments: 3, segmentOctets: 100 };
    for (let i = 10; i < 100; i++) await write(i, i, bounds); // 9 octets each, so 11 in a segment
    expect(readdirSync(directory).sort()).toEqual(['ike.7.ndjson', 'ike.8.ndjson', 'ike.9.ndjson']);
    expect([7, 8, 9].map((number) => statSync(segment(number)).size)).toEqual([99, 99, 18]);
    expect(await read(bounds)).toEqual(range(76, 99));
  });

  it('takes segments in the order of their numbers, forgets what is too old or too large, and leaves others alone', async () => {
    await write(1, 1);
    for (const number of [2, 9, 10, 11]) writeFileSync(segment(number), `{"i":${number}}\n`);
    writeFileSync(segment(10), `${'x'.repeat(5_000)}\n{"i":10}\n`);
    writeFileSync(join(directory, 'bgp.1.ndjson'), '{"i":0}\n');
    expect(await read({ segmentOctets: 100 })).toEqual([2, 9, 10, 11]);
    expect(readdirSync(directory).sort()).toEqual(['bgp.1.ndjson', ...[10, 11, 2, 9].map((n) => `ike.${n}.ndjson`)]);
  });

  it('says once that the disk is full, tries again by itself, and writes each line once', async () => {
    const disk = new Disk();
    const { journal, clock, told } = await openJournal({ append: disk.append });
    disk.freeOctets = 12; // a line and a half
    for (let i = 1; i <= 3; i++) journal.append({ i });
    for (let attempt = 1; attempt <= 5; attempt++) {
      await disk.ended(attempt);
      await clock.advance(10_000);
    }
    expect(told).toEqual([`Cannot write ${directory}: no space left on the device; free some.`]);
    disk.freeOctets = Number.POSITIVE_INFINITY;
    journal.append({ i: 4 });
    await disk.ended(6);
    await clock.advance(10_000);
    await disk.ended(7);
    expect(told.slice(1)).toEqual(['recovered, 0 lost']);
    expect(await read()).toEqual([1, 2, 3, 4]);
  });

  it('drops the oldest lines and counts them while the disk is full', async () => {
    const disk = new Disk();
    const { journal, clock, told } = await openJournal({ append: disk.append, segmentOctets: 90 });
    disk.freeOctets = 0;
    for (let i = 10; i < 60; i++) journal.append({ i });
    await disk.ended(1);
    disk.freeOctets = Number.POSITIVE_INFINITY;
    await clock.advance(10_000);
    await disk.ended(2);
    expect(told.slice(1)).toEqual(['recovered, 40 lost']);
    expect(await read()).toEqual(range(50, 59));
  });

  it('keeps no more than a segment in memory while the disk hangs, and says so', async () => {
    const disk = new Disk();
    const { journal, told } = await openJournal({ append: disk.append, segmentOctets: 90 });
    const release = disk.hang();
    for (let i = 10; i < 60; i++) journal.append({ i }); // the first one is under way
    expect(told).toEqual([`${directory} takes lines too slowly; the oldest ones that wait are dropped.`]);
    release();
    await disk.ended(2);
    expect(told.slice(1)).toEqual(['recovered, 39 lost']);
    expect(await read()).toEqual([10, ...range(50, 59)]);
  });

  it('brings back the directory that someone removed', async () => {
    const disk = new Disk();
    const { journal, clock, told } = await openJournal({ append: disk.append });
    rmSync(directory, { recursive: true });
    journal.append({ i: 1 });
    await disk.ended(1);
    await clock.advance(10_000);
    await disk.ended(2);
    expect(told).toEqual([
      expect.stringContaining(`Cannot write ${directory}: it does not exist`),
      'recovered, 0 lost',
    ]);
    expect(await read()).toEqual([1]);
  });

  it('opens without a usable directory, says why, and starts when there is one', async () => {
    writeFileSync(directory, 'a file');
    const { journal, clock, told, seen } = await openJournal({});
    expect(seen).toEqual([]);
    expect(told).toEqual([expect.stringContaining(`Cannot read ${directory}`)]);
    journal.append({ i: 1 });
    rmSync(directory);
    await clock.advance(10_000);
    await journal.close();
    expect(await read()).toEqual([1]);
  });

  it('gives up at the end what cannot be written, and takes nothing afterwards', async () => {
    const disk = new Disk();
    const { journal, clock } = await openJournal({ append: disk.append });
    disk.freeOctets = 0;
    journal.append({ i: 1 });
    await journal.close();
    journal.append({ i: 2 });
    expect(clock.nextMs()).toBeUndefined();
    expect(await read()).toEqual([]);
  });
});

/** A file system with little room that may stop for a while. A write that does not fit stops in the middle. */
class Disk {
  freeOctets = Number.POSITIVE_INFINITY;
  #gate: Promise<void> = Promise.resolve();
  #ended = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly append = async (path: string, octets: Uint8Array): Promise<void> => {
    await this.#gate;
    setImmediate(() => this.#end());
    appendFileSync(path, octets.subarray(0, Math.min(this.freeOctets, octets.length)));
    if (octets.length > this.freeOctets) {
      this.freeOctets = 0;
      throw Object.assign(new Error('write failed'), { code: 'ENOSPC' });
    }
    this.freeOctets -= octets.length;
  };

  /** Until the returned function is called. */
  hang(): () => void {
    let release = (): void => undefined;
    this.#gate = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  /** Resolves when so many writes in all have succeeded or failed, and whoever asked for them knows. */
  ended(count: number): Promise<void> {
    if (this.#ended >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  #end(): void {
    this.#ended++;
    for (const { count, resolve } of this.#waiting) if (this.#ended >= count) resolve();
  }
}

async function openJournal(options: Partial<JournalOptions>) {
  const clock = new ManualClock();
  const told: string[] = [];
  const { journal, records } = await Journal.open({
    directory,
    name: 'ike',
    clock,
    onTrouble: (message) => told.push(message),
    onRecovered: (lost) => told.push(`recovered, ${lost} lost`),
    ...options,
  });
  return { journal, clock, told, seen: records.map((record) => (record as { i: number }).i) };
}

/** Appends the numbers from `first` to `last` in a run of its own; what that run found. */
async function write(first: number, last: number, options: Partial<JournalOptions> = {}): Promise<number[]> {
  const { journal, seen } = await openJournal(options);
  for (let i = first; i <= last; i++) journal.append({ i });
  await journal.close();
  return seen;
}

const read = (options: Partial<JournalOptions> = {}): Promise<number[]> => write(1, 0, options);
const segment = (number: number): string => join(directory, `ike.${number}.ndjson`);
const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);
