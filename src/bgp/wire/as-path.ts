import type { Reader, Writer } from '../../lib/bytes.ts';

/** RFC 4271 §4.3 b, RFC 5065 §3. */
export interface AsPathSegment {
  readonly type: 'set' | 'sequence' | 'confed-set' | 'confed-sequence';
  readonly asns: readonly number[];
}

/** Index is the number on the wire. */
const SEGMENT_TYPES = [undefined, 'set', 'sequence', 'confed-sequence', 'confed-set'] as const;

/** Segments up to the end of `r`. An empty segment, an unknown type and AS 0 (RFC 7607) are malformed. */
export function decodeAsPath(r: Reader, asnOctets: 2 | 4): AsPathSegment[] {
  const segments: AsPathSegment[] = [];
  while (r.remaining > 0) {
    const type = SEGMENT_TYPES[r.u8()];
    if (type === undefined) throw r.error('as-path-segment-type');
    const count = r.u8();
    if (count === 0) throw r.error('as-path-segment-empty');
    segments.push({ type, asns: decodeAsns(r.sub(count * asnOctets), asnOctets) });
  }
  return segments;
}

/** With two octets an AS number above 65535 is written as `substitute` (AS_TRANS). */
export function encodeAsPath(w: Writer, path: readonly AsPathSegment[], asnOctets: 2 | 4, substitute: number): void {
  for (const segment of path) {
    for (let start = 0; start < segment.asns.length; start += 255) {
      const asns = segment.asns.slice(start, start + 255);
      w.u8(SEGMENT_TYPES.indexOf(segment.type)).u8(asns.length);
      for (const asn of asns) {
        if (asnOctets === 4) w.u32(asn);
        else w.u16(asn > 0xffff ? substitute : asn);
      }
    }
  }
}

function decodeAsns(r: Reader, asnOctets: 2 | 4): number[] {
  // of its size at once: an array that grows takes room for 17, and a table has 100,000 of these
  const asns = new Array<number>(r.remaining / asnOctets);
  for (let i = 0; i < asns.length; i++) {
    const asn = asnOctets === 4 ? r.u32() : r.u16();
    if (asn === 0) throw r.error('as-zero');
    asns[i] = asn;
  }
  return asns;
}
