import pc from 'picocolors';

type Colors = ReturnType<typeof pc.createColors>;

/** How to paint: colour only ever repeats what the words say. */
export interface Screen {
  readonly now: Date;
  readonly colors: Colors;
}

export const screenOf = (now: Date, colourful: boolean): Screen => ({ now, colors: pc.createColors(colourful) });

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'right';
  cell(row: Row): string;
  /** Applied after padding, so that escape codes do not count as width. */
  paint?(text: string, row: Row): string;
}

const MAX_WIDTH = 120;
const GAP = '  ';

/** Aligned columns without box art, at most 120 wide: the last column gives way. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => plain(column.cell(row))));
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...cells.map((line) => line[i]?.length ?? 0)));
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);
  const lastWidth = Math.max(MAX_WIDTH - before, columns.at(-1)?.title.length ?? 0);
  const padded = (text: string, i: number): string => {
    const shown = i === columns.length - 1 && text.length > lastWidth ? `${text.slice(0, lastWidth - 1)}…` : text;
    const width = i === columns.length - 1 ? 0 : (widths[i] ?? 0);
    return columns[i]?.align === 'right' ? shown.padStart(widths[i] ?? 0) : shown.padEnd(width);
  };
  const head = columns.map(({ title }, i) => padded(title, i)).join(GAP);
  const body = rows.map((row, r) =>
    columns.map((column, i) => (column.paint ?? asIs)(padded(cells[r]?.[i] ?? '', i), row)).join(GAP),
  );
  return [head, ...body].map((line) => `${line.trimEnd()}\n`).join('');
}

const asIs = (text: string): string => text;

/** Text of peers and servers must not reach the terminal as control codes. */
export const plain = (text: string): string => text.replace(/\p{Cc}+/gu, ' ');

/** Aligned `name  value` lines. */
export function fields(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  const indent = `\n${' '.repeat(width)}${GAP}`;
  const room = MAX_WIDTH - width - GAP.length;
  return pairs
    .map(([name, value]) => `${name.padEnd(width)}${GAP}${wrapped(plain(value), room).join(indent)}\n`)
    .join('');
}

/** Lines of at most `room` characters, broken between words; a longer word has a line of its own. */
function wrapped(text: string, room: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > room) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}

/** `45s`, `31m`, `2h`, `3d`; a dash for unknown. */
export function age(seconds: number | null): string {
  if (seconds === null) return '-';
  const whole = Math.max(Math.floor(seconds), 0);
  if (whole < 60) return `${whole}s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)}m`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)}h`;
  return `${Math.floor(whole / 86_400)}d`;
}

/** `3d 04:11`, `04:11`, `00:00`. */
export function uptime(since: string, now: Date): string {
  const minutes = Math.max(Math.floor((now.getTime() - Date.parse(since)) / 60_000), 0) || 0;
  const clock = [Math.floor(minutes / 60) % 24, minutes % 60].map((part) => String(part).padStart(2, '0')).join(':');
  const days = Math.floor(minutes / 1_440);
  return days > 0 ? `${days}d ${clock}` : clock;
}

/** `4m ago`. */
export const ago = (time: string, now: Date): string => `${age((now.getTime() - Date.parse(time)) / 1_000)} ago`;

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Decimal units with three significant digits: `999 B`, `1.23 MB`. */
export function bytes(count: number): string {
  let [value, unit] = [count, 0];
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1_000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

export const orDash = (value: string | number | null | undefined): string =>
  value === null || value === undefined || value === '' ? '-' : String(value);
