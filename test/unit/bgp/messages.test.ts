import { describe, expect, it } from 'vitest';
import { HEADER_OCTETS } from '../../../src/bgp/wire/iana.ts';
import { decodeMessage, encodeMessage, MessageStream } from '../../../src/bgp/wire/message.ts';
import { describeNotification } from '../../../src/bgp/wire/notification.ts';
import { fromHex, toHex } from '../../../src/lib/bytes.ts';
import { loadVectors } from '../load-vectors.ts';
import { readable } from './readable.ts';

interface Vector {
  readonly name: string;
  readonly asn_octets: 2 | 4;
  /** False: another speaker's layout that we read but would write differently. */
  readonly canonical?: boolean;
  readonly hex: string;
  readonly value: unknown;
}

const VECTORS = loadVectors<Vector[]>('bgp/messages.json');

describe('BGP message vectors', () => {
  it.each(VECTORS)('$name: decodes, and encodes to the same octets', ({ hex, asn_octets, canonical, value }) => {
    const context = { asnOctets: asn_octets };
    const stream = new MessageStream();
    stream.push(fromHex(hex));
    const frame = stream.next();
    if (!frame.ok || frame.value === undefined) throw new Error('no frame');
    const message = decodeMessage(frame.value, context);
    if (!message.ok) throw new Error(message.error.detail);
    expect(readable(message.value)).toEqual(value);
    const encoded = encodeMessage(message.value, context);
    if (canonical !== false) expect(toHex(encoded)).toBe(hex);
    else expect(decodeMessage({ ...frame.value, body: encoded.subarray(HEADER_OCTETS) }, context)).toEqual(message);
  });

  it.each(VECTORS)('$name: every truncated body gives a value, never a throw', (vector) => {
    const bytes = fromHex(vector.hex);
    const type = bytes[HEADER_OCTETS - 1] ?? 0;
    for (let end = HEADER_OCTETS; end < bytes.length; end++) {
      const body = bytes.subarray(HEADER_OCTETS, end);
      const cut = (): unknown => decodeMessage({ type, body }, { asnOctets: vector.asn_octets });
      // What the framing lets through must give a value; shorter bodies it has refused already.
      if (minBody(type) <= body.length) expect(cut).not.toThrow();
    }
  });

  it('waits for the whole message, octet by octet', () => {
    const bytes = fromHex(VECTORS[0]?.hex ?? '');
    const stream = new MessageStream();
    for (const octet of bytes.subarray(0, -1)) {
      stream.push(Uint8Array.of(octet));
      expect(stream.next()).toEqual({ ok: true, value: undefined });
    }
    stream.push(bytes.subarray(-1));
    expect(stream.next()).toMatchObject({ ok: true, value: { type: 1 } });
  });
});

describe('message framing', () => {
  const marker = 'ff'.repeat(16);
  it.each([
    { name: 'a marker with a zero bit', hex: `${'ff'.repeat(15)}fe001304`, code: 1, subcode: 1, data: '' },
    { name: 'a length below the header', hex: `${marker}001204`, code: 1, subcode: 2, data: '0012' },
    { name: 'a length above 4096', hex: `${marker}100102`, code: 1, subcode: 2, data: '1001' },
    { name: 'an OPEN below 29', hex: `${marker}001c01`, code: 1, subcode: 2, data: '001c' },
    { name: 'a KEEPALIVE with a body', hex: `${marker}001404`, code: 1, subcode: 2, data: '0014' },
    { name: 'a NOTIFICATION without codes', hex: `${marker}001403`, code: 1, subcode: 2, data: '0014' },
    { name: 'an unknown type', hex: `${marker}001306`, code: 1, subcode: 3, data: '06' },
  ])('refuses $name before its body has come', ({ hex, code, subcode, data }) => {
    const stream = new MessageStream();
    stream.push(fromHex(hex));
    const result = stream.next();
    if (result.ok) throw new Error('accepted');
    expect(readable(result.error.notification)).toEqual({ code, subcode, data });
  });

  it('keeps its octets when the chunk is reused by the caller', () => {
    const keepalive = fromHex(`${marker}001304`);
    const chunk = keepalive.slice(0, 10);
    const stream = new MessageStream();
    stream.push(chunk);
    stream.next();
    chunk.fill(0);
    stream.push(keepalive.subarray(10));
    expect(stream.next()).toMatchObject({ ok: true, value: { type: 4 } });
  });
});

describe('OPEN errors', () => {
  it.each([
    { name: 'version 3', body: '03fde800b4c000020100', code: 2, subcode: 1, data: '0004' },
    { name: 'hold time 2', body: '04fde80002c000020100', code: 2, subcode: 6, data: '' },
    { name: 'an authentication parameter', body: '04fde800b4c000020103010100', code: 2, subcode: 4, data: '' },
    { name: 'parameters longer than the message', body: '04fde800b4c000020105', code: 2, subcode: 0, data: '' },
    { name: 'octets after the parameters', body: '04fde800b4c00002010000', code: 2, subcode: 0, data: '' },
    { name: 'a capability that overruns', body: '04fde800b4c000020104020241ff', code: 2, subcode: 0, data: '' },
  ])('$name', ({ body, code, subcode, data }) => {
    const result = decodeMessage({ type: 1, body: fromHex(body) }, { asnOctets: 2 });
    if (result.ok) throw new Error('accepted');
    expect(readable(result.error.notification)).toEqual({ code, subcode, data });
  });

  it('a capability whose value does not fit its code is kept as unknown', () => {
    const result = decodeMessage({ type: 1, body: fromHex('04fde800b4c0000201060204410200ff') }, { asnOctets: 2 });
    expect(readable(result)).toMatchObject({
      ok: true,
      value: { open: { asn: 65000, capabilities: [{ kind: 'unknown', code: 65, bytes: '00ff' }] } },
    });
  });
});

describe('the words of a NOTIFICATION', () => {
  it.each([
    { code: 6, subcode: 2, data: '026869', text: 'Cease/Administrative Shutdown "hi"' },
    { code: 6, subcode: 4, data: '031b5b30', text: 'Cease/Administrative Reset "\u{fffd}[0"' },
    { code: 6, subcode: 2, data: 'ff6869', text: 'Cease/Administrative Shutdown (data ff6869)' },
    { code: 6, subcode: 99, data: '', text: 'Cease/subcode 99' },
    { code: 4, subcode: 0, data: '', text: 'Hold Timer Expired' },
    { code: 77, subcode: 1, data: '', text: 'error 77/subcode 1' },
  ])('$text', ({ code, subcode, data, text }) => {
    expect(describeNotification({ code, subcode, data: fromHex(data) })).toBe(text);
  });
});

// helpers

const minBody = (type: number): number => ({ 1: 10, 2: 4, 3: 2, 5: 4 })[type] ?? 0;
