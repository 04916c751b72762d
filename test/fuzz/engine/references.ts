import { concat, fromHex, toHex } from '../../../src/lib/bytes.ts';

/** Shorter runs are cheaper as they are, and mean nothing; an ESP SPI has four octets. */
const MIN_RUN = 4;

/**
 * Octets as text, in which runs that also stand in one of `sources` are named by their place there: `2@16+8` is eight
 * octets of source 2 from octet 16 on, anything else is hex. So an input that holds an SPI, a nonce or an AUTH of a
 * conversation still fits when the conversation comes out differently.
 */
export function refer(bytes: Uint8Array, sources: readonly Uint8Array[]): string {
  const parts: string[] = [];
  let plain = 0;
  for (let at = 0; at < bytes.length; ) {
    const run = longestRun(bytes, at, sources);
    if (run === undefined) {
      at++;
      continue;
    }
    if (plain < at) parts.push(toHex(bytes.subarray(plain, at)));
    parts.push(`${run.source}@${run.from}+${run.length}`);
    at += run.length;
    plain = at;
  }
  if (plain < bytes.length) parts.push(toHex(bytes.subarray(plain)));
  return parts.join(' ');
}

/** Inverse of `refer`; what a source no longer has is left out. */
export function resolve(text: string, sources: readonly Uint8Array[]): Uint8Array {
  const parts = text.split(' ').filter((part) => part !== '');
  return concat(...parts.map((part) => resolvePart(part, sources)));
}

function resolvePart(part: string, sources: readonly Uint8Array[]): Uint8Array {
  const [, source, from, length] = /^(\d+)@(\d+)\+(\d+)$/.exec(part) ?? [];
  if (source === undefined) return fromHex(part);
  const start = Number(from);
  return sources[Number(source)]?.subarray(start, start + Number(length)) ?? new Uint8Array(0);
}

interface Run {
  readonly source: number;
  readonly from: number;
  readonly length: number;
}

function longestRun(bytes: Uint8Array, at: number, sources: readonly Uint8Array[]): Run | undefined {
  let best: Run | undefined;
  for (const [source, octets] of sources.entries()) {
    for (let from = 0; from + MIN_RUN <= octets.length; from++) {
      let length = 0;
      while (
        at + length < bytes.length &&
        from + length < octets.length &&
        bytes[at + length] === octets[from + length]
      )
        length++;
      if (length >= MIN_RUN && length > (best?.length ?? 0)) best = { source, from, length };
    }
  }
  // A run of one repeated octet is no reference to anything.
  const run = best && bytes.subarray(at, at + best.length);
  return run?.every((octet) => octet === run[0]) ? undefined : best;
}
