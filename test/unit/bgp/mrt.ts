import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Reader } from '../../../src/lib/bytes.ts';
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
