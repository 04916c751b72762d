/** Where in the document: keys and list positions from the root. */
export type Path = readonly (string | number)[];

/** A mistake before it has a place in the text. */
export interface Complaint {
  readonly path: Path;
  /** What was expected, what came and, where it is not obvious, what to do. */
  readonly message: string;
  /** `key`: the key itself is wrong or out of place; otherwise its value. */
  readonly at: 'key' | 'value';
}

export const complaint = (path: Path, message: string): Complaint => ({ path, message, at: 'value' });

/** The key should not be here at all. */
export const keyComplaint = (path: Path, message: string): Complaint => ({ path, message, at: 'key' });

/** `links[0].bgp.asn`; keys that are not plain words are quoted, so two paths never print alike. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** A value as it appears after "got": short, and telling text from numbers. */
export function showValue(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value);
}

const SHOWN_CHARACTERS = 60;
