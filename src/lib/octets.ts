const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `100GB`, `102400000KiB`, `500000B` in octets; undefined for anything else, such as `KB`, which means either. */
export function parseOctets(text: string): number | undefined {
  const [, digits, unit = ''] = /^([1-9]\d{0,14})([A-Za-z]{1,3})$/.exec(text) ?? [];
  const octets = Number(digits) * (factorOf(DECIMAL, 1_000, unit) ?? factorOf(BINARY, 1_024, unit) ?? Number.NaN);
  return Number.isSafeInteger(octets) ? octets : undefined;
}

/** Decimal units with three significant digits: `999 B`, `1.23 MB`, `100 GB`. */
export function formatOctets(octets: number): string {
  let [value, power] = [octets, 0];
  while (value >= 999.5 && power < DECIMAL.length - 1) {
    value /= 1_000;
    power++;
  }
  return `${Number(value.toPrecision(3))} ${DECIMAL[power]}`;
}

function factorOf(units: readonly string[], base: number, unit: string): number | undefined {
  const power = units.indexOf(unit);
  return power < 0 ? undefined : base ** power;
}
