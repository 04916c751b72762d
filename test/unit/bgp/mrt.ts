import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Reader, Writer } from '../../../src/lib/bytes.ts';
import { type IpAddress, ipFromBytes } from '../../../src/lib/ip.ts';

/** A BGP message as a route collector recorded it, RFC 6396 §4.4. */
export interface MrtMessage {
  /** Seconds since 1970. */
  readonly time: number;
  readonly peerAs: number;
  readonly peer: IpAddress;
  /** Octets per AS number in the message. */
  readonly asnOctets: 2 | 4;
  /** Header included. */
  readonly bytes: Uint8Array;
}

const TABLE_DUMP = 12;
const AFI_IPV4 = 1;
const BGP4MP = 16;
/** Subtypes: MESSAGE and MESSAGE_AS4. State changes are 0 and 5. */
const MESSAGE = 1;
const MESSAGE_AS4 = 4;

/** All recorded messages of a gzipped MRT file in `test/vectors`. */
export function readMrt(path: string): MrtMessage[] {
  const r = new Reader(gunzipSync(vectorFile(path)));
  const messages: MrtMessage[] = [];
  while (r.remaining > 0) {
    const time = r.u32();
    const type = r.u16();
    const subtype = r.u16();
    const record = r.sub(r.u32());
    if (type === BGP4MP && (subtype === MESSAGE || subtype === MESSAGE_AS4)) {
      messages.push(readMessage(record, time, subtype === MESSAGE_AS4 ? 4 : 2));
    }
  }
  return messages;
}

/** One route of a table that a collector held, RFC 6396 §4.2. */
export interface MrtRoute {
  /** Seconds since 1970. */
  readonly time: number;
  readonly peerAs: number;
  readonly peer: IpAddress;
  /** An UPDATE without header, of a two-octet speaker, that announces the route. */
  readonly update: Uint8Array;
}

/** All IPv4 routes of a gzipped table dump in `test/vectors`. */
export function* readMrtTable(path: string): Generator<MrtRoute> {
  const r = new Reader(gunzipSync(vectorFile(path)));
  while (r.remaining > 0) {
    const time = r.u32();
    const type = r.u16();
    const subtype = r.u16();
    const record = r.sub(r.u32());
    if (type === TABLE_DUMP && subtype === AFI_IPV4) yield readRoute(record, time);
  }
}

function readRoute(r: Reader, time: number): MrtRoute {
  r.skip(4); // view, sequence number
  const network = r.take(4);
  const length = r.u8();
  r.skip(1 + 4); // status, time of the route
  const peer = ipFromBytes(r.take(4));
  const peerAs = r.u16();
  const attributes = r.take(r.u16());
  const w = new Writer().u16(0).u16(attributes.length).put(attributes);
  const update = w
    .u8(length)
    .put(network.subarray(0, Math.ceil(length / 8)))
    .finish();
  return { time, peerAs, peer, update };
}

/** The lines that `bgpdump -m` printed for the same file. */
export function readExpected(path: string): string[] {
  return gunzipSync(vectorFile(path))
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

function readMessage(r: Reader, time: number, asnOctets: 2 | 4): MrtMessage {
  const peerAs = asnOctets === 4 ? r.u32() : r.u16();
  r.skip(asnOctets + 2); // local AS, interface
  const addressOctets = r.u16() === 1 ? 4 : 16;
  const peer = ipFromBytes(r.take(addressOctets));
  r.skip(addressOctets); // local address
  return { time, peerAs, peer, asnOctets, bytes: r.rest() };
}

const vectorFile = (path: string): Uint8Array => readFileSync(new URL(`../../vectors/${path}`, import.meta.url));
