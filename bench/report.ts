import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { run } from '../test/netns/process.ts';
import { ROOT } from '../test/netns/repository.ts';

/** One row: what was measured several times. `measure: contender` where there are several of both. */
export interface Series {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** Name of the series that this one is divided by, median by median. */
  readonly against?: string;
}

/** Prints a table of medians and writes the values, with the machine they belong to, to bench/results. */
export async function report(name: string, series: readonly Series[]): Promise<void> {
  const rows = series.map((row) => [row.name, row.unit, ...spread(row.values).map(short), ratio(row, series)]);
  const table = [['', 'unit', 'median', 'min', 'max', 'ratio'], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of table) {
    const cells = row.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(cells.join('  ').trimEnd());
  }
  const folder = join(ROOT, 'bench', 'results');
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}${otherNode()}.json`);
  await writeFile(file, `${JSON.stringify({ name, ...(await machine()), series }, undefined, 2)}\n`);
}

/** Results of another Node than the oldest one that is supported stand beside its own. */
function otherNode(): string {
  const major = process.versions.node.split('.')[0];
  return major === '20' ? '' : `.node${major}`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

function spread(values: readonly number[]): number[] {
  return [median(values), Math.min(...values), Math.max(...values)];
}

function ratio(row: Series, all: readonly Series[]): string {
  const base = all.find(({ name }) => name === row.against);
  return base === undefined || median(base.values) === 0
    ? ''
    : `${(median(row.values) / median(base.values)).toFixed(2)} × ${base.name.replace(/^.*: /, '')}`;
}

function short(value: number): string {
  return value.toFixed(value < 100 ? 2 : 0);
}

async function machine(): Promise<object> {
  const changed = await run('git', ['-C', ROOT, 'status', '--porcelain', '--', 'src', 'native']);
  return {
    date: new Date().toISOString(),
    commit: `${(await run('git', ['-C', ROOT, 'rev-parse', '--short', 'HEAD'])).trim()}${changed === '' ? '' : ' with changes'}`,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    kernel: release(),
    node: process.version,
  };
}
