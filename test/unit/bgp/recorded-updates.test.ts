import { describe, expect, it } from 'vitest';
import { formatAsPath } from '../../../src/bgp/as-path.ts';
import type { BgpRoutes, PathAttributes } from '../../../src/bgp/types.ts';
import { updateRoutes } from '../../../src/bgp/update-routes.ts';
import { HEADER_OCTETS, MessageType } from '../../../src/bgp/wire/iana.ts';
import { encodeMessage, MessageStream } from '../../../src/bgp/wire/message.ts';
import { decodeUpdate, type UpdateMessage } from '../../../src/bgp/wire/update.ts';
import { formatIp, formatKey } from '../../../src/lib/ip.ts';
import { type MrtMessage, readExpected, readMrt, readMrtTable } from './mrt.ts';

describe('UPDATEs that route collectors recorded', () => {
  it.each(['updates.20160811.1600', 'updates.long_withdrawal'])('of %s mean what bgpdump says', (name) => {
    const lines = readMrt(`bgp/${name}.gz`).flatMap((message) => dumpLines(message));
    const expected = readExpected(`bgp/${name}.expect.gz`).filter(
      (line) => !line.startsWith('BGP4MP|') || !line.includes('|STATE|'),
    );
    expect(lines.length).toBe(expected.length);
    expect(lines.sort()).toEqual(expected.sort());
  });

  it('of a whole table mean what bgpdump says, all 115,521 records', () => {
    const expected = readExpected('bgp/bview.20020722.2337.expect.gz').values();
    let compared = 0;
    for (const { time, peer, peerAs, update } of readMrtTable('bgp/bview.20020722.2337.gz')) {
      const decoded = decodeUpdate(update, { asnOctets: 2 });
      if (!decoded.ok) throw new Error(decoded.error.detail);
      const head = `TABLE_DUMP|${time}|B|${formatIp(peer)}|${peerAs}`;
      const lines = updateRoutes(decoded.value).announced.flatMap((routes) => routeLines(head, routes, decoded.value));
      // by hand: 115,521 expectations take half a minute
      // RFC 7607 came later: an AGGREGATOR with AS 0 is dropped
      const line = expected.next().value?.replace(/\|0 0\.0\.0\.0\|$/, '||');
      if (lines.length !== 1 || lines[0] !== line) expect(lines).toEqual([line]);
      compared++;
    }
    expect([compared, expected.next().done]).toEqual([115_521, true]);
  });

  it('with bits beyond the prefix length are masked, and refused when octets are missing', () => {
    const [message] = readMrt('bgp/updates.nlri_mask_trailing_bits.gz');
    const [expected] = readExpected('bgp/updates.nlri_mask_trailing_bits.expect.gz');
    if (message === undefined) throw new Error('no record');
    // The recorded NLRI ends with one length octet too many, which bgpdump passes over.
    const body = message.bytes.subarray(HEADER_OCTETS);
    expect(decodeUpdate(body, { asnOctets: 2 })).toMatchObject({
      ok: false,
      error: { notification: { code: 3, subcode: 10 } },
    });
    expect(dumpLines({ ...message, bytes: message.bytes.subarray(0, -1) })).toEqual([expected]);
  });

  it('survive encoding: what is decoded again is the same', () => {
    let compared = 0;
    for (const message of readMrt('bgp/updates.20160811.1600.gz')) {
      const update = decoded(message);
      if (update === undefined || update.faults.length > 0) continue;
      const context = { asnOctets: message.asnOctets };
      const again = decodeUpdate(encodeMessage({ kind: 'update', update }, context).subarray(HEADER_OCTETS), context);
      expect(again).toEqual({ ok: true, value: update });
      compared++;
    }
    expect(compared).toBeGreaterThan(17_000);
  });

  it('pass the stream framing whatever the sizes of the chunks', () => {
    const messages = readMrt('bgp/updates.20160811.1600.gz').slice(0, 500);
    const bytes = Buffer.concat(messages.map((message) => message.bytes));
    const stream = new MessageStream();
    let frames = 0;
    for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7 + 3) % 1461) {
      stream.push(bytes.subarray(at, at + size));
      for (let next = stream.next(); next.ok && next.value !== undefined; next = stream.next()) {
        expect(next.value.body).toEqual(new Uint8Array(messages[frames]?.bytes.subarray(HEADER_OCTETS) ?? []));
        frames++;
      }
    }
    expect(frames).toBe(500);
  });
});

// helpers

/** The records hold sessions of all kinds, so no limit of length applies here. */
function decoded(message: MrtMessage): UpdateMessage | undefined {
  if (message.bytes[HEADER_OCTETS - 1] !== MessageType.Update) return undefined;
  const update = decodeUpdate(message.bytes.subarray(HEADER_OCTETS), { asnOctets: message.asnOctets });
  if (!update.ok) throw new Error(update.error.detail);
  return update.value;
}

/** One line per prefix in the format of `bgpdump -m`. */
function dumpLines(message: MrtMessage): string[] {
  const update = decoded(message);
  if (update === undefined) return [];
  const routes = updateRoutes(update);
  const head = (letter: string) => `BGP4MP|${message.time}|${letter}|${formatIp(message.peer)}|${message.peerAs}`;
  return [
    ...routes.withdrawn.map((key) => `${head('W')}|${formatKey(key)}`),
    ...routes.announced.flatMap((each) => routeLines(head('A'), each, update)),
  ];
}

function routeLines(head: string, { prefixes, attributes }: BgpRoutes, update: UpdateMessage): string[] {
  const rest = attributesText(attributes, update);
  return prefixes.map((key) => `${head}|${formatKey(key)}|${rest}`);
}

function attributesText(attributes: PathAttributes, update: UpdateMessage): string {
  return [
    formatAsPath(attributes.asPath),
    attributes.origin.toUpperCase(),
    formatIp(attributes.nextHop),
    update.attributes.localPref ?? 0,
    attributes.med ?? 0,
    attributes.communities.map(formatCommunity).join(' '),
    attributes.atomicAggregate ? 'AG' : 'NAG',
    attributes.aggregator ? `${attributes.aggregator.asn} ${formatIp(attributes.aggregator.address)}` : '',
    '',
  ].join('|');
}

function formatCommunity(community: number): string {
  if (community === 0xffffff01) return 'no-export';
  if (community === 0xffffff02) return 'no-advertise';
  if (community === 0xffffff03) return 'local-AS';
  return `${community >>> 16}:${community & 0xffff}`;
}
