const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `10s`, `5m`, `8h`, `90d` in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = /^(0|[1-9]\d{0,8})([smhd])$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit ?? ''];
  return digits === undefined || unitMs === undefined ? undefined : Number(digits) * unitMs;
}

/** The shortest exact text: 28,800,000 ms is `8h`. Whole seconds only. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm']) {
    const unitMs = UNIT_MS[unit] ?? 1;
    if (ms > 0 && ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${Math.floor(ms / 1_000)}s`;
}
