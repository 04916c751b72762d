import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { updateRoutes } from '../../../src/bgp/update-routes.ts';
import type { Capability } from '../../../src/bgp/wire/capabilities.ts';
import { HEADER_OCTETS } from '../../../src/bgp/wire/iana.ts';
import { type BgpMessage, decodeMessage, encodeMessage, MessageStream } from '../../../src/bgp/wire/message.ts';
import { cease, describeNotification, shutdownText } from '../../../src/bgp/wire/notification.ts';
import { decodeUpdate } from '../../../src/bgp/wire/update.ts';
import { concat } from '../../../src/lib/bytes.ts';
import { type IpAddress, ipFromBytes, maskedPrefix, type PrefixKey, prefixKey } from '../../../src/lib/ip.ts';
import { BgpPair, CPE, ZONE } from '../../sim/bgp-pair.ts';

const octet = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const asn = fc.integer({ min: 1, max: 0xffffffff });
const octets = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });
const address = (family: 4 | 6): fc.Arbitrary<IpAddress> => {
  const length = family === 4 ? 4 : 16;
  return octets(length, length).map(ipFromBytes);
};
const prefixes = (family: 4 | 6): fc.Arbitrary<PrefixKey[]> =>
  fc.array(
    fc
      .tuple(address(family), fc.integer({ min: 0, max: family === 4 ? 32 : 128 }))
      .map(([ip, length]) => prefixKey(maskedPrefix(ip, length))),
    { maxLength: 20 },
  );
const asPath = fc.array(
  fc.record({
    type: fc.constantFrom('set' as const, 'sequence' as const, 'confed-set' as const, 'confed-sequence' as const),
    asns: fc.array(asn, { minLength: 1, maxLength: 10 }),
  }),
  { maxLength: 4 },
);
const aggregator = fc.record({ asn, address: address(4) });
const attributes = fc.record(
  {
    origin: fc.constantFrom('igp' as const, 'egp' as const, 'incomplete' as const),
    asPath,
    nextHop: fc
      .tuple(fc.integer({ min: 1, max: 126 }), octets(3, 3))
      .map(([first, rest]) => ipFromBytes(concat(Uint8Array.of(first), rest))),
    med: u32,
    localPref: u32,
    atomicAggregate: fc.constant(true as const),
    aggregator,
    communities: fc.array(u32, { minLength: 1, maxLength: 100 }),
    largeCommunities: fc.array(fc.tuple(u32, u32, u32), { minLength: 1, maxLength: 10 }),
    extendedCommunities: fc.array(fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }), { minLength: 1, maxLength: 10 }),
    onlyToCustomer: u32,
    mpReach: fc.record({
      family: fc.constant(6 as const),
      nextHop: address(6),
      linkLocal: fc.option(address(6), { nil: undefined }),
      prefixes: prefixes(6),
    }),
    mpUnreach: fc.record({ family: fc.constant(6 as const), prefixes: prefixes(6) }),
    as4Path: asPath,
    as4Aggregator: aggregator,
  },
  { requiredKeys: [] },
);
const unknown = fc.uniqueArray(
  fc.record({
    flags: fc.constantFrom(0x80, 0xc0, 0xe0),
    type: fc.integer({ min: 100, max: 255 }),
    bytes: octets(0, 300),
  }),
  { maxLength: 3, selector: (raw) => raw.type },
);
const capability: fc.Arbitrary<Capability> = fc.oneof(
  fc.record({ kind: fc.constant('multiprotocol' as const), afi: u16, safi: octet }),
  fc.record({
    kind: fc.constantFrom('route-refresh' as const, 'enhanced-route-refresh' as const, 'extended-message' as const),
  }),
  fc.record({ kind: fc.constant('four-octet-as' as const), asn: u32 }),
  fc.record({ kind: fc.constant('role' as const), role: octet }),
  fc.record({
    kind: fc.constant('graceful-restart' as const),
    restarting: fc.boolean(),
    notification: fc.boolean(),
    restartTimeSec: fc.integer({ min: 0, max: 4095 }),
    families: fc.array(fc.record({ afi: u16, safi: octet, forwarding: fc.boolean() }), { maxLength: 5 }),
  }),
  fc.record({ kind: fc.constant('unknown' as const), code: fc.integer({ min: 100, max: 255 }), bytes: octets(0, 60) }),
);
const message: fc.Arbitrary<BgpMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('update' as const),
    update: fc.record({ withdrawn: prefixes(4), attributes, unknown, nlri: prefixes(4), faults: fc.constant([]) }),
  }),
  fc.record({
    kind: fc.constant('notification' as const),
    notification: fc.record({ code: octet, subcode: octet, data: octets(0, 100) }),
  }),
  fc.record({ kind: fc.constant('route-refresh' as const), afi: u16, subtype: octet, safi: octet }),
  fc.record({
    kind: fc.constant('open' as const),
    open: fc.record({
      holdTimeSec: fc.integer({ min: 3, max: 65535 }),
      routerId: address(4),
      capabilities: fc.array(capability, { maxLength: 30 }),
      asn: fc.integer({ min: 1, max: 0xffff }),
    }),
  }),
);

test.prop([message])('a message survives encoding and decoding', (original) => {
  const bytes = encodeMessage(original, { asnOctets: 4 });
  const stream = new MessageStream();
  stream.push(bytes);
  const frame = stream.next();
  if (!frame.ok || frame.value === undefined) throw new Error('framing refused it');
  expect(decodeMessage(frame.value, { asnOctets: 4 })).toEqual({ ok: true, value: withAsn(original) });
});

test.prop([octets(0, 400), fc.constantFrom(2 as const, 4 as const)])(
  'any octets as an UPDATE give a value, and so do its routes',
  (bytes, asnOctets) => {
    const update = decodeUpdate(bytes, { asnOctets });
    if (update.ok) expect(updateRoutes(update.value).announced.length).toBeLessThanOrEqual(bytes.length);
    else expect(update.error.notification.code).toBe(3);
  },
);

test.prop([message, fc.array(fc.tuple(fc.nat(), octet), { minLength: 1, maxLength: 5 })])(
  'a message with some octets changed gives a value, and its routes do too',
  (original, changes) => {
    const bytes = encodeMessage(original, { asnOctets: 4 });
    const type = bytes[HEADER_OCTETS - 1] ?? 0;
    const body = bytes.slice(HEADER_OCTETS);
    for (const [at, value] of changes) body[at % body.length] = value;
    const result = decodeMessage({ type, body }, { asnOctets: 4 });
    if (!result.ok) expect([2, 3]).toContain(result.error.notification.code);
    else if (result.value.kind === 'update') {
      const routes = updateRoutes(result.value.update);
      if (routes.treatedAsWithdraw !== undefined) expect(routes.announced).toEqual([]);
    }
  },
);

test.prop([octets(10, 300)])('any octets as an OPEN give a value', (bytes) => {
  const result = decodeMessage({ type: 1, body: concat(Uint8Array.of(4), bytes) }, { asnOctets: 2 });
  if (!result.ok) expect(result.error.notification.code).toBe(2);
});

test.prop([octets(0, 300), fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 20 })])(
  'a stream of anything ends in an error or waits, however it is cut',
  (bytes, cuts) => {
    const whole = outcome([bytes]);
    const pieces: Uint8Array[] = [];
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = cuts[i % cuts.length] ?? 1;
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    expect(outcome(pieces)).toEqual(whole);
  },
);

test.prop([fc.string({ unit: 'grapheme', maxLength: 300 })])(
  'a shutdown text arrives as far as 255 octets carry it',
  (text) => {
    const notification = cease(2, text);
    expect(notification.data.length).toBeLessThanOrEqual(256);
    const arrived = shutdownText(notification) ?? '';
    expect(
      text
        .replace(/\p{Cc}/gu, '\u{fffd}')

        .startsWith(arrived),
    ).toBe(true);
    expect(describeNotification(notification)).toContain('Administrative Shutdown');
  },
);

test.prop([fc.array(octets(1, 200), { maxLength: 10 }), fc.boolean()])(
  'an established session takes anything without a throw, and comes up again',
  (chunks, framed) => {
    const pair = new BgpPair(CPE, { ...ZONE, passive: true });
    pair.feed(pair.b, { kind: 'start' });
    pair.feed(pair.a, { kind: 'start' });
    pair.run(1000);
    for (const chunk of chunks)
      pair.feed(pair.a, { kind: 'data', connection: 1, bytes: framed ? asUpdate(chunk) : chunk });
    pair.run(400_000);
    expect(pair.states()).toBe('established/established');
  },
);

// helpers

/** Capability 65, the first one if there are several, overrules the two-octet field. */
function withAsn(original: BgpMessage): BgpMessage {
  if (original.kind !== 'open') return original;
  const asn = original.open.capabilities.find((each) => each.kind === 'four-octet-as')?.asn ?? original.open.asn;
  return { kind: 'open', open: { ...original.open, asn } };
}

function outcome(chunks: readonly Uint8Array[]): unknown[] {
  const stream = new MessageStream();
  const seen: unknown[] = [];
  for (const chunk of chunks) {
    stream.push(chunk.slice());
    for (;;) {
      const next = stream.next();
      if (!next.ok) return [...seen, next.error.notification.subcode];
      if (next.value === undefined) break;
      seen.push({ type: next.value.type, body: [...next.value.body] });
    }
  }
  return seen;
}

function asUpdate(body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_OCTETS + body.length).fill(0xff, 0, 16);
  new DataView(bytes.buffer).setUint16(16, bytes.length);
  bytes[18] = 2;
  bytes.set(body, HEADER_OCTETS);
  return bytes;
}
