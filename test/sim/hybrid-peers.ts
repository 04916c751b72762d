import { expect } from 'vitest';
import { nodeCrypto } from '../../src/crypto/node.ts';
import { ESP_MIX, type EspSuite, IKE_MIX, type IkeConfig, type IkeSuite } from '../../src/ike/index.ts';
import { MessageProtection } from '../../src/ike/protection.ts';
import { Sealer } from '../../src/ike/sealer.ts';
import { preferHybridEsp, preferHybridIke } from '../../src/ike/suites.ts';
import type { ExportedIkeKeys } from '../../src/ike/types.ts';
import { decodeMessage, encodePayloads, type Payload } from '../../src/ike/wire/message.ts';
import { fromHex, toHex } from '../../src/lib/bytes.ts';
import { SeededRandom } from './clock.ts';
import type { Packet } from './network.ts';
import type { IkeHost, IkePair } from './pair.ts';

type Suites = Pick<IkeConfig, 'ikeSuites' | 'espSuites'>;

/** Hybrid first, then the same without, as `pq: prefer` has it. */
export const hybrid = (
  ike: readonly IkeSuite[] = IKE_MIX.slice(7),
  esp: readonly EspSuite[] = ESP_MIX.slice(5),
): Suites => ({
  ikeSuites: preferHybridIke(ike),
  espSuites: preferHybridEsp(esp),
});

/** Such as `IKE_INTERMEDIATE out 1 ok`. */
export const history = (host: IkeHost): string[] =>
  host.all('history').map(({ event: e }) => `${e.exchange} ${e.direction} ${e.messageId} ${e.result}`);

/** Exchange types of what was sent, in order, each run of the same one as one. */
export function exchangesOf(packets: readonly Packet[]): number[] {
  const types = packets.map(({ bytes }) => bytes[18] ?? 0);
  return types.filter((type, i) => type !== types[i - 1]);
}

/** One IKE SA and one CHILD_SA at each end, the same ones with the same keys. */
export function expectOneSa({ initiator, responder }: IkePair): void {
  const views = [initiator.view, responder.view];
  expect(views.map(({ state }) => state)).toEqual(['established', 'established']);
  expect(views[0]?.spiI).toBe(views[1]?.spiI);
  expect(views[0]?.suite).toBe(views[1]?.suite);
  for (const host of [initiator, responder]) expect([...host.receiving.keys()]).toEqual([host.view.child?.spiIn]);
  expect(keysOf(initiator, 'outbound')).toBe(keysOf(responder, 'inbound'));
  expect(keysOf(initiator, 'inbound')).toBe(keysOf(responder, 'outbound'));
}

function keysOf({ sending }: IkeHost, direction: 'inbound' | 'outbound'): string {
  const sa = sending?.[direction];
  return sa === undefined ? 'none' : `${sa.spi} ${toHex(sa.key.reveal())} ${toHex(sa.salt.reveal())}`;
}

/** Changes what is inside one whole message, as only somebody who broke the classic key exchange can. */
export function rewrite(
  packet: Packet,
  keys: ExportedIkeKeys,
  change: (payloads: readonly Payload[]) => readonly Payload[],
): Packet {
  const message = decodeMessage(packet.bytes);
  if (!message.ok) throw message.error;
  const { header } = message.value;
  const [sender, receiver] = header.fromInitiator
    ? (['initiator', 'responder'] as const)
    : (['responder', 'initiator'] as const);
  const opened = new Sealer(protection(keys, receiver), false).open(message.value, packet.bytes);
  if (opened.kind !== 'whole') throw new Error(`the message is ${opened.kind}`);
  return { ...packet, bytes: protection(keys, sender).seal(header, encodePayloads(change(opened.payloads))) };
}

const NO_KEY = new Uint8Array(0);

function protection(exported: ExportedIkeKeys, role: 'initiator' | 'responder'): MessageProtection {
  const { skEi, skEr, skAi, skAr, suite } = exported;
  const keys = { ei: fromHex(skEi), er: fromHex(skEr), ai: fromHex(skAi), ar: fromHex(skAr) };
  return new MessageProtection(
    nodeCrypto,
    new SeededRandom(7),
    suite,
    { ...keys, d: NO_KEY, pi: NO_KEY, pr: NO_KEY },
    role,
  );
}
