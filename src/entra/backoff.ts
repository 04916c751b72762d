import type { Random } from '../crypto/types.ts';
import type { HttpResponse } from '../lib/http.ts';

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 60_000;
/** A server that asks for more is asked again after this long. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;

/** Tries of one request before its failure counts. */
export const MAX_TRIES = 5;

/** Exponential backoff 1 s, 2 s, 4 s … 60 s for attempt 0, 1, 2 …, the upper half of it jitter. */
export function backoffMs(attempt: number, random: Random): number {
  return jittered(Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt), random);
}

/** Between half of `ms` and `ms`. */
export function jittered(ms: number, random: Random): number {
  const [high = 0, low = 0] = random.bytes(2);
  return Math.round(ms / 2 + (ms / 2) * (((high << 8) | low) / 0xffff));
}

/**
 * `Retry-After` as milliseconds, RFC 9110 §10.2.3. The date form is read against the `Date` of the same answer:
 * a core has no calendar, and the server's own is the one that counts.
 */
export function retryAfterMs(response: HttpResponse): number | undefined {
  if (response.kind !== 'response') return undefined;
  const value = response.headers['retry-after']?.trim();
  if (value === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(value)
    ? Number(value) * 1000
    : Date.parse(value) - Date.parse(response.headers['date'] ?? '');
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : undefined;
}
