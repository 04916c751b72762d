import { MessageProtection } from '../../../src/ike/protection.ts';
import type { ExportedIkeKeys } from '../../../src/ike/types.ts';
import type { IkeHeader } from '../../../src/ike/wire/header.ts';
import { decodeMessage, type InnerOctets } from '../../../src/ike/wire/message.ts';
import type { FragmentPosition } from '../../../src/ike/wire/sk.ts';
import { equalBytes, fromHex } from '../../../src/lib/bytes.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { quickCrypto } from '../../sim/quick-crypto.ts';
import type { Duo, End, Role } from './duo.ts';

/** A message under the keys of one of the victim's IKE SAs; its inside need not make sense. */
export interface Sealed {
  /** 0 for the newest IKE SA that the victim has keys of, 1 for the one before. */
  readonly sa: number;
  /** Did its sender begin that IKE SA? */
  readonly asInitiator: boolean;
  readonly exchangeType: number;
  readonly response: boolean;
  /** Off the id that the victim expects. */
  readonly skippedIds: number;
  readonly inner: InnerOctets;
  /** As one fragment of a larger message (RFC 7383). */
  readonly fragment?: FragmentPosition | undefined;
}

const NO_KEY = new Uint8Array(0);

/** As the peer would have sent it; `undefined` where the victim has no such IKE SA. */
export function seal(duo: Duo, victim: Role, sealed: Sealed): Uint8Array | undefined {
  const keys = duo[victim].keys.at(-1 - sealed.sa);
  if (keys === undefined) return undefined;
  const header: IkeHeader = {
    spiI: fromHex(keys.spiI),
    spiR: fromHex(keys.spiR),
    exchangeType: sealed.exchangeType,
    fromInitiator: sealed.asInitiator,
    response: sealed.response,
    messageId: (expectedId(duo, victim, keys, sealed.response) + sealed.skippedIds) >>> 0,
  };
  const role = sealed.asInitiator ? 'initiator' : 'responder';
  return protectionOf(keys, role).seal(header, sealed.inner, sealed.fragment);
}

/** What the other end has put into its messages so far, in order. */
export function insidesOf(duo: Duo, victim: Role): Sealed[] {
  return duo.sent.filter(({ by }) => by !== victim).flatMap(({ bytes }) => insideOf(bytes, duo[victim]) ?? []);
}

function insideOf(bytes: Uint8Array, end: End): Sealed | undefined {
  const decoded = decodeMessage(bytes);
  if (!decoded.ok || decoded.value.sk === undefined) return undefined;
  const { header, sk } = decoded.value;
  const index = end.keys.findIndex((keys) => isAbout(header, keys));
  const keys = end.keys[index];
  if (keys === undefined) return undefined;
  const opened = protectionOf(keys, header.fromInitiator ? 'responder' : 'initiator').unseal(sk, bytes);
  if (!opened.ok) return undefined;
  return {
    sa: end.keys.length - 1 - index,
    asInitiator: header.fromInitiator,
    exchangeType: header.exchangeType,
    response: header.response,
    skippedIds: 0,
    inner: { firstPayload: sk.firstPayload, bytes: opened.value },
    fragment: sk.fragment,
  };
}

/** The id of the victim's last request, or the one after the peer's last request, in this IKE SA. */
function expectedId(duo: Duo, victim: Role, keys: ExportedIkeKeys, response: boolean): number {
  let last = -1;
  for (const { by, bytes } of duo.sent) {
    const decoded = decodeMessage(bytes);
    if (!decoded.ok || decoded.value.header.response || (by === victim) !== response) continue;
    if (isAbout(decoded.value.header, keys)) last = Math.max(last, decoded.value.header.messageId);
  }
  return response ? Math.max(0, last) : last + 1;
}

/** IKE_SA_INIT counts by its initiator's SPI. */
function isAbout({ spiI, spiR }: IkeHeader, keys: ExportedIkeKeys): boolean {
  return (
    equalBytes(spiI, fromHex(keys.spiI)) && (equalBytes(spiR, fromHex(keys.spiR)) || spiR.every((octet) => octet === 0))
  );
}

function protectionOf(keys: ExportedIkeKeys, role: Role): MessageProtection {
  const [ei, er, ai, ar] = [keys.skEi, keys.skEr, keys.skAi, keys.skAr].map(fromHex);
  if (ei === undefined || er === undefined || ai === undefined || ar === undefined) throw new Error('unreachable');
  const sk = { ei, er, ai, ar, d: NO_KEY, pi: NO_KEY, pr: NO_KEY };
  return new MessageProtection(quickCrypto, new SeededRandom(0), keys.suite, sk, role);
}
