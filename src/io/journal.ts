import { appendFile, mkdir, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from '../lib/time.ts';
import type { Clock } from './clock.ts';
import { FileError, fileError } from './files.ts';

/** One line of a journal: plain values only, so that no object can bring a secret along. */
export type JournalRecord = Readonly<Record<string, string | number | boolean>>;

export interface JournalOptions {
  /** Made when it is not there. */
  readonly directory: string;
  /** The segments are called `<name>.<number>.ndjson`; the highest number is the newest. */
  readonly name: string;
  readonly clock: Pick<Clock, 'now' | 'wakeAt'>;
  /** How many segments there are at most, and how large each may become. */
  readonly segments?: number;
  readonly segmentOctets?: number;
  /** Called once when lines cannot be written, not again before `onRecovered`. */
  readonly onTrouble: (message: string) => void;
  /** Lines are written again; `lost`: how many never will be. */
  readonly onRecovered: (lost: number) => void;
  /** Adds octets to the end of a file, which it makes if need be; a failure may leave some of them there. */
  readonly append?: (path: string, octets: Uint8Array) => Promise<void>;
}

/** Where the next line goes. */
interface Tail {
  readonly number: number;
  /** The end of the last whole line. */
  octets: number;
  /** The file may go on behind that: part of a line that a killed process or a failed write left. */
  torn: boolean;
}

const SEGMENTS = 4;
const SEGMENT_OCTETS = 256 * 1_024;
const RETRY_MS = 10_000;
const LINE_FEED = 0x0a;
/** The daemon's user only. */
const MODE = { file: 0o600, directory: 0o700 } as const;

/**
 * A bounded log of JSON lines that outlives the process, also when it is killed. `append` never waits and never throws:
 * lines queue in memory, at most a segment of them, and leave in one asynchronous write at a time. A line is in the
 * kernel's hands milliseconds later. There is no fsync: a power cut may take the last seconds.
 *
 * When the disk fails or is slow the oldest lines in the queue are dropped and counted, and writing is tried again.
 */
export class Journal {
  readonly #options: Required<JournalOptions>;
  readonly #queue: Uint8Array[] = [];
  #queuedOctets = 0;
  /** Undefined: not known, because the directory could not be read so far. */
  #tail: Tail | undefined;
  #busy = false;
  #written: Promise<void> = Promise.resolve();
  #cancelRetry: (() => void) | undefined;
  #troubled = false;
  /** Lines dropped since the trouble began. */
  #lost = 0;
  #closed = false;

  private constructor(options: JournalOptions) {
    this.#options = { segments: SEGMENTS, segmentOctets: SEGMENT_OCTETS, append: appendToFile, ...options };
  }

  /** Never rejects. `records`: what earlier runs wrote, oldest first; the caller checks their shape. */
  static async open(options: JournalOptions): Promise<{ journal: Journal; records: readonly unknown[] }> {
    const journal = new Journal(options);
    try {
      return { journal, records: await journal.#survey() };
    } catch (error) {
      journal.#complain(error, 'read');
      return { journal, records: [] };
    }
  }

  append(record: JournalRecord): void {
    if (this.#closed) return;
    this.#enqueue([Buffer.from(`${JSON.stringify(record)}\n`)]);
    this.#start();
  }

  /** Writes what is queued; what fails now is not tried again. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry?.();
    await this.#written;
    if (this.#queue.length > 0) await this.#writeQueue();
  }

  #start(): void {
    if (this.#busy || this.#cancelRetry !== undefined) return;
    this.#busy = true;
    this.#written = this.#drain();
  }

  async #drain(): Promise<void> {
    let written = true;
    while (written && this.#queue.length > 0) written = await this.#writeQueue();
    this.#busy = false;
    if (this.#queue.length === 0 || this.#closed) return;
    const { clock } = this.#options;
    this.#cancelRetry = clock.wakeAt(after(clock.now(), RETRY_MS), () => {
      this.#cancelRetry = undefined;
      this.#start();
    });
  }

  /** False: what was queued still is. */
  async #writeQueue(): Promise<boolean> {
    const lines = this.#takeQueue();
    try {
      await this.#write(Buffer.concat(lines));
    } catch (error) {
      this.#complain(error, 'write');
      this.#enqueue([...lines, ...this.#takeQueue()]);
      return false;
    }
    if (this.#troubled) this.#options.onRecovered(this.#lost);
    this.#troubled = false;
    this.#lost = 0;
    return true;
  }

  /** A batch is never larger than a segment, so no segment grows beyond its bound. */
  async #write(batch: Uint8Array): Promise<void> {
    const { segments, segmentOctets, append } = this.#options;
    if (this.#tail === undefined) await this.#survey();
    let tail = this.#tail ?? { number: 1, octets: 0, torn: false };
    if (tail.torn) await this.#mend(tail);
    if (tail.octets > 0 && tail.octets + batch.length > segmentOctets) {
      await rm(this.#path(tail.number + 1 - segments), { force: true });
      tail = { number: tail.number + 1, octets: 0, torn: false };
    }
    this.#tail = tail;
    tail.torn = true;
    await append(this.#path(tail.number), batch);
    tail.octets += batch.length;
    tail.torn = false;
  }

  /** Reads every segment that counts, removes those that no longer do, and finds the tail. */
  async #survey(): Promise<unknown[]> {
    const { segments, segmentOctets } = this.#options;
    const numbers = await this.#numbers();
    for (const number of numbers.splice(0, Math.max(0, numbers.length - segments))) await rm(this.#path(number));
    const records: unknown[] = [];
    let tail: Tail = { number: 1, octets: 0, torn: false };
    for (const number of numbers) {
      const { lines, octets, torn } = await readSegment(this.#path(number), segmentOctets);
      records.push(...parseLines(lines));
      tail = { number, octets, torn };
    }
    this.#tail = tail;
    return records;
  }

  async #numbers(): Promise<number[]> {
    const { directory, name } = this.#options;
    await mkdir(directory, { recursive: true, mode: MODE.directory });
    return (await readdir(directory, { withFileTypes: true }))
      .filter((entry) => entry.isFile() && entry.name.startsWith(`${name}.`))
      .flatMap((entry) => /^\.(\d{1,15})\.ndjson$/.exec(entry.name.slice(name.length))?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** Cuts off what stands behind the last whole line; brings the directory back if someone removed it. */
  async #mend({ number, octets }: Tail): Promise<void> {
    await mkdir(this.#options.directory, { recursive: true, mode: MODE.directory });
    const path = this.#path(number);
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    if (size > octets) await truncate(path, octets);
  }

  #takeQueue(): Uint8Array[] {
    this.#queuedOctets = 0;
    return this.#queue.splice(0);
  }

  /** Adds to the queue and drops its oldest lines where it grows beyond a segment. */
  #enqueue(lines: readonly Uint8Array[]): void {
    for (const line of lines) {
      this.#queue.push(line);
      this.#queuedOctets += line.length;
    }
    if (this.#queuedOctets <= this.#options.segmentOctets) return;
    while (this.#queuedOctets > this.#options.segmentOctets) {
      this.#queuedOctets -= this.#queue.shift()?.length ?? 0;
      this.#lost++;
    }
    this.#trouble(`${this.#options.directory} takes lines too slowly; the oldest ones that wait are dropped.`);
  }

  #complain(error: unknown, action: string): void {
    const known = error instanceof FileError ? error : fileError(error, this.#options.directory, action);
    this.#trouble(known.message);
  }

  #trouble(message: string): void {
    if (this.#troubled) return;
    this.#troubled = true;
    this.#options.onTrouble(message);
  }

  #path(number: number): string {
    return join(this.#options.directory, `${this.#options.name}.${number}.ndjson`);
  }
}

const appendToFile = (path: string, octets: Uint8Array): Promise<void> => appendFile(path, octets, { mode: MODE.file });

/** The whole lines among the last `limit` octets, and where the last of them ends. */
async function readSegment(path: string, limit: number): Promise<{ lines: string; octets: number; torn: boolean }> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - limit);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const end = buffer.subarray(0, bytesRead).lastIndexOf(LINE_FEED) + 1;
    const octets = end === 0 ? 0 : start + end;
    return { lines: buffer.toString('utf8', 0, end), octets, torn: octets < size };
  } finally {
    await file.close();
  }
}

/** Lines that are damaged are passed over: a history with a gap is better than none. */
function parseLines(text: string): unknown[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}
