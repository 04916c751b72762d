import type { AsPathSegment } from './wire/as-path.ts';

/** RFC 4271 §9.1.2.2 a, RFC 5065 §5.3: a set counts one, confederation segments nothing. */
export function asPathLength(path: readonly AsPathSegment[]): number {
  return path.reduce((sum, segment) => sum + hops(segment), 0);
}

/** The AS the path was learned from; `undefined` for an empty path or one that starts with a set. */
export function firstAs(path: readonly AsPathSegment[]): number | undefined {
  const first = path[0];
  return first?.type === 'sequence' ? first.asns[0] : undefined;
}

/** The AS that the route comes from; `undefined` for an empty path or one that ends with a set (an aggregate of several). */
export function originAs(path: readonly AsPathSegment[]): number | undefined {
  const last = path.at(-1);
  return last?.type === 'sequence' ? last.asns.at(-1) : undefined;
}

export const asPathHas = (path: readonly AsPathSegment[], asn: number): boolean =>
  path.some((segment) => segment.asns.includes(asn));

/** The usual text: `65476 8075`, sets as `{1,2}`, confederation segments in round or square brackets. */
export function formatAsPath(path: readonly AsPathSegment[]): string {
  return path.map(formatSegment).join(' ');
}

/**
 * RFC 6793 §4.2.3: the true path behind a two-octet speaker. AS_PATH gives the ASes nearest to us that AS4_PATH
 * does not cover; an AS4_PATH longer than AS_PATH is ignored.
 */
export function mergeAs4Path(path: readonly AsPathSegment[], as4Path: readonly AsPathSegment[]): AsPathSegment[] {
  const tail = as4Path.filter((segment) => hops(segment) > 0);
  const missing = asPathLength(path) - asPathLength(tail);
  if (missing < 0) return [...path];
  return joinSequences([...leading(path, missing), ...tail]);
}

function hops(segment: AsPathSegment): number {
  switch (segment.type) {
    case 'sequence':
      return segment.asns.length;
    case 'set':
      return 1;
    case 'confed-sequence':
    case 'confed-set':
      return 0;
  }
}

/** The first `count` hops of a path. */
function leading(path: readonly AsPathSegment[], count: number): AsPathSegment[] {
  const head: AsPathSegment[] = [];
  let left = count;
  for (const segment of path) {
    if (left <= 0) break;
    head.push(segment.type === 'sequence' ? { type: 'sequence', asns: segment.asns.slice(0, left) } : segment);
    left -= hops(segment);
  }
  return head;
}

function joinSequences(path: readonly AsPathSegment[]): AsPathSegment[] {
  const joined: AsPathSegment[] = [];
  for (const segment of path) {
    const last = joined.at(-1);
    if (last?.type === 'sequence' && segment.type === 'sequence') {
      joined[joined.length - 1] = { type: 'sequence', asns: [...last.asns, ...segment.asns] };
    } else joined.push(segment);
  }
  return joined;
}

function formatSegment(segment: AsPathSegment): string {
  switch (segment.type) {
    case 'sequence':
      return segment.asns.join(' ');
    case 'set':
      return `{${segment.asns.join(',')}}`;
    case 'confed-sequence':
      return `(${segment.asns.join(' ')})`;
    case 'confed-set':
      return `[${segment.asns.join(',')}]`;
  }
}
