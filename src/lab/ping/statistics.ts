/** What became of the echo requests from one source to one target. */
export interface PingSummary {
  readonly from: string;
  readonly to: string;
  /** Undefined: the routing table chose. */
  readonly device: string | undefined;
  readonly sent: number;
  readonly received: number;
  /** Undefined when nothing came back. */
  readonly roundTripMs: { readonly min: number; readonly average: number; readonly max: number } | undefined;
}

/** `roundTripsMs`: one entry for each reply. */
export function summarise(
  request: Pick<PingSummary, 'from' | 'to' | 'device' | 'sent'>,
  roundTripsMs: readonly number[],
): PingSummary {
  const received = roundTripsMs.length;
  if (received === 0) return { ...request, received, roundTripMs: undefined };
  const sum = roundTripsMs.reduce((total, ms) => total + ms, 0);
  const roundTripMs = { min: Math.min(...roundTripsMs), average: sum / received, max: Math.max(...roundTripsMs) };
  return { ...request, received, roundTripMs };
}

export interface PingTotal {
  readonly sent: number;
  readonly received: number;
  readonly averageMs: number | undefined;
}

export function total(summaries: readonly PingSummary[]): PingTotal {
  const sent = summaries.reduce((sum, summary) => sum + summary.sent, 0);
  const received = summaries.reduce((sum, summary) => sum + summary.received, 0);
  const spentMs = summaries.reduce((sum, each) => sum + (each.roundTripMs?.average ?? 0) * each.received, 0);
  return { sent, received, averageMs: received === 0 ? undefined : spentMs / received };
}

/** `32/32 replies, 0.41 ms on average`. */
export function formatTotal({ sent, received, averageMs }: PingTotal): string {
  const average = averageMs === undefined ? '' : `, ${averageMs.toFixed(2)} ms on average`;
  return `${received}/${sent} replies${average}`;
}
