/** Readers for JSON whose shape the far end decides: what is absent or of another type reads as undefined. */
export type JsonRecord = Readonly<Record<string, unknown>>;

const NOTHING: JsonRecord = {};

/** Undefined when `text` is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // the caller reports the answer as a whole
  }
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export const asRecord = (value: unknown): JsonRecord => (isRecord(value) ? value : NOTHING);

export const recordAt = (from: JsonRecord, key: string): JsonRecord => asRecord(from[key]);

export function recordsAt(from: JsonRecord, key: string): JsonRecord[] {
  const value = from[key];
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/** Undefined also for the empty string. */
export function textAt(from: JsonRecord, key: string): string | undefined {
  const value = from[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Accepts a numeric string too: some services write Int64 that way. */
export function numberAt(from: JsonRecord, key: string): number | undefined {
  const value = from[key];
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}
