import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatObject } from '../../../../src/fib/format.ts';
import { decodeObject } from '../../../../src/fib/wire/kernel-object.ts';
import { fromHex } from '../../../../src/lib/bytes.ts';

interface Vector {
  readonly name: string;
  /** RTM_NEW*. */
  readonly type: number;
  /** Payload of the message, little-endian host. */
  readonly hex: string;
  /** Null: not ours. */
  readonly object: string | null;
}

const FILE = new URL('../../../vectors/fib/rtnetlink-dump.json', import.meta.url);
const VECTORS: readonly Vector[] = JSON.parse(readFileSync(FILE, 'utf8'));

describe('decodeObject on a dump of Linux 6.18', () => {
  it.each(VECTORS)('$name', ({ type, hex, object }) => {
    const decoded = decodeObject({ type, flags: 0, payload: fromHex(hex) });
    expect(decoded.ok && decoded.value ? formatObject(decoded.value) : decoded).toEqual(
      object ?? { ok: true, value: undefined },
    );
  });
});
