import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { IkeChannel } from '../../../src/ike/channel.ts';
import { IKE_MIX, type IkeSuite } from '../../../src/ike/index.ts';
import { ExchangeType } from '../../../src/ike/wire/iana.ts';
import { decodeMessage, type Payload } from '../../../src/ike/wire/message.ts';
import { protectedChannel, received, termsOf } from '../../unit/ike/channels.ts';

const GCM: IkeSuite = { encryption: 'gcmAes128', integrity: 'sha256', dhGroup: 14 };
const suite = fc.constantFrom(...IKE_MIX, GCM);
const payloads = fc.array(
  fc.record({
    kind: fc.constant('unknown' as const),
    type: fc.integer({ min: 60, max: 255 }),
    critical: fc.boolean(),
    bytes: fc.uint8Array({ maxLength: 700 }),
  }),
  { maxLength: 6 },
);
const size = fc.integer({ min: 256, max: 1500 });
/** Which datagram comes next, as a part of all of them: any order, any repetition. */
const order = fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 60 });

describe('fragments', () => {
  test.prop([suite, payloads, size, order])(
    'that come in any order and any number of times give the message once, and nothing before it is whole',
    (ikeSuite, content, fragmentSize, picks) => {
      const { us, peer } = ends(ikeSuite, fragmentSize);
      const { datagrams } = us.encode(ExchangeType.Informational, false, 3, content);
      const missing = new Set(datagrams);
      const arrivals = [...picks.map((part) => datagrams[Math.floor(part * datagrams.length)]), ...datagrams];
      const whole: (readonly Payload[])[] = [];
      for (const bytes of arrivals) {
        if (bytes === undefined || whole.length > 0) break;
        missing.delete(bytes);
        const opened = open(peer, bytes);
        if (opened.kind === 'whole') whole.push(opened.payloads);
        expect(opened.kind === 'whole').toBe(missing.size === 0);
      }
      expect(whole).toEqual([content]);
    },
  );

  test.prop([suite, payloads, fc.tuple(size, size), order])(
    'of two sizes mixed give the message whatever the order, once the smaller ones are complete',
    (ikeSuite, content, sizes, picks) => {
      const { us, peer } = ends(ikeSuite, Math.max(...sizes));
      const large = us.encode(ExchangeType.Informational, false, 3, content);
      const small = us.refragment(large, Math.min(...sizes) - 32);
      const all = [...large.datagrams, ...small.datagrams];
      const arrivals = [...picks.map((part) => all[Math.floor(part * all.length)]), ...small.datagrams];
      const opened = arrivals.map((bytes) => open(peer, bytes));
      const whole = opened.filter((result) => result.kind === 'whole');
      expect(whole.length).toBeGreaterThan(0);
      for (const result of whole) expect(result).toMatchObject({ payloads: content });
      expect(opened.filter(({ kind }) => kind === 'malformed')).toEqual([]);
    },
  );

  test.prop([suite, payloads, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1 })])(
    'that are damaged give nothing',
    (ikeSuite, content, damage) => {
      const { us, peer } = ends(ikeSuite, 256);
      for (const datagram of us.encode(ExchangeType.Informational, false, 3, content).datagrams) {
        const bytes = datagram.slice();
        for (const [at, bit] of damage) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ bit;
        const decoded = decodeMessage(bytes);
        if (!decoded.ok || bytes.every((octet, i) => octet === datagram[i])) continue;
        expect(peer.open(decoded.value, { ...received(datagram).datagram, bytes }).kind).toBe('dropped');
      }
    },
  );
});

function ends(suite: IkeSuite, fragmentSize: number): { us: IkeChannel; peer: IkeChannel } {
  const terms = termsOf(suite);
  return {
    us: protectedChannel('initiator', terms, fragmentSize),
    peer: protectedChannel('responder', terms, fragmentSize),
  };
}

function open(end: IkeChannel, bytes: Uint8Array | undefined) {
  const { message, datagram } = received(bytes);
  return end.open(message, datagram);
}
