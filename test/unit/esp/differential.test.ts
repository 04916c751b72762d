import { expect, it } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { type EspDrop, type EspReceived, InboundSa } from '../../../src/esp/inbound-sa.ts';
import { sealPacket } from '../../../src/esp/packet.ts';
import { ReplayWindow } from '../../../src/esp/replay-window.ts';
import { loadAddon } from '../../../src/io/addon.ts';
import type { NativeSa } from '../../../src/io/native.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import type { EspSa } from '../../../src/lib/esp-sa.ts';
import type { Result } from '../../../src/lib/result.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { Dice } from '../../fuzz/engine/dice.ts';
import { ADMITTED_CIPHERS } from '../../netns/ciphers.ts';
import { figure, SOAK } from '../../netns/soak.ts';
import { ipv4, ipv6 } from './inner-packets.ts';

/** Datagrams that arrive, whatever their fate. */
const PACKETS = SOAK ? 1_000_000 : 5_000;
const PACKETS_PER_SA = 250;
/** Each test holds the event loop for a while, and a worker must answer. */
const TESTS = SOAK ? 100 : 4;
/** Four in ten arrive unharmed and in order. */
const FATES = [...Array<'fine'>(4).fill('fine'), 'lost', 'twice', 'late', 'very-late', 'damaged', 'cut'] as const;
type Fate = (typeof FATES)[number];

const addon = loadAddon();

/** What became of all datagrams. */
const outcomes: Record<string, number> = {};

it.each(Array.from({ length: TESTS }, (_, seed) => seed))(
  'the packet path and the readable ESP agree about every packet: seed %i',
  (seed) => {
    const random = new Dice(seed);
    for (let packets = 0; packets < PACKETS / TESTS; packets += PACKETS_PER_SA) compareOneSa(random);
  },
  60_000,
);

it('every verdict was among them', () => {
  figure('ESP packets compared', outcomes);
  expect(Object.keys(outcomes).sort()).toEqual(['malformed', 'not-authentic', 'opened', 'replayed', 'too-old'].sort());
  expect(Object.values(outcomes).reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(PACKETS);
});

/** Both seal the same packets; what a bad path makes of them, both open. */
function compareOneSa(random: Dice): void {
  const sa: EspSa = {
    spi: 256 + random.below(0xffff_0000),
    key: new Secret(random.bytes(random.pick([16, 24, 32]))),
    salt: new Secret(random.bytes(4)),
    esn: random.below(2) === 0,
  };
  const replayWindow = random.pick([64, 128, 1024, 65_536]);
  const cipher = random.pick(ADMITTED_CIPHERS);
  const native = { spi: sa.spi, key: sa.key.reveal(), salt: sa.salt.reveal(), esn: sa.esn, replayWindow, cipher };
  const sent = sealedByBoth(sa, native, random);
  const window = new ReplayWindow(replayWindow);
  const readable = new InboundSa(sa, window, nodeCrypto);
  const packetPath = addon.createEspOpener(native);
  for (const packet of overABadPath(sent, random)) {
    const wanted = described(readable.receive(packet));
    const outcome = typeof wanted === 'string' ? wanted : 'opened';
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    // The packet path counts both under one reason.
    expect(packetPath.open(packet), toHex(packet)).toEqual(wanted === 'too-old' ? 'replayed' : wanted);
  }
  expect(packetPath.gaps()).toEqual({ missing: window.missing, reordered: window.reordered });
}

function sealedByBoth(sa: EspSa, native: NativeSa, random: Dice): Uint8Array[] {
  const sent: Uint8Array[] = [];
  let sequence = firstSequence(sa.esn, random);
  for (let count = 0; count < PACKETS_PER_SA; count++) {
    const inner = random.below(2) === 0 ? ipv4(random.below(120)) : ipv6(random.below(120));
    const packet = sealPacket(sa, sequence, inner, nodeCrypto);
    expect(toHex(addon.espSeal(native, sequence, inner)), `sequence ${sequence}`).toBe(toHex(packet));
    sent.push(packet);
    sequence += BigInt(random.below(20) === 0 ? random.below(2 * native.replayWindow) : 1);
  }
  return sent;
}

/** In the words of the packet path. */
function described(
  received: Result<EspReceived, EspDrop>,
): EspDrop | 'dummy' | { sequence: bigint; innerPacket: Uint8Array } {
  if (!received.ok) return received.error;
  const { value } = received;
  return value.kind === 'dummy' ? 'dummy' : { sequence: value.sequence, innerPacket: value.innerPacket };
}

/** Often close to where something changes. */
function firstSequence(esn: boolean, random: Dice): bigint {
  if (random.below(2) === 0) return BigInt(1 + random.below(100));
  const limit = 1n << 32n;
  // A receiver that has seen nothing finds no place for numbers above the first 2^32.
  return esn ? limit - BigInt(1 + random.below(PACKETS_PER_SA)) : BigInt(1 + random.below(0x7fff_ffff));
}

/** Losses, duplicates, delays and damage; at least as many datagrams as were sent. */
function overABadPath(sent: readonly Uint8Array[], random: Dice): Uint8Array[] {
  const arrivals: { at: number; packet: Uint8Array }[] = [];
  sent.forEach((packet, at) => {
    const fate = random.pick(FATES);
    if (fate === 'lost') return;
    const delay = fate === 'late' ? random.below(20) : fate === 'very-late' ? random.below(sent.length) : 0;
    arrivals.push({ at: at + delay, packet: changed(packet, fate, random) });
    if (fate === 'twice') arrivals.push({ at: at + random.below(sent.length), packet });
  });
  while (arrivals.length < sent.length) {
    const at = random.below(sent.length);
    arrivals.push({ at: at + random.below(sent.length), packet: sent[at] ?? new Uint8Array() });
  }
  return arrivals.sort((a, b) => a.at - b.at).map(({ packet }) => packet);
}

function changed(packet: Uint8Array, fate: Fate, random: Dice): Uint8Array {
  if (fate === 'cut') return packet.slice(0, random.below(packet.length));
  if (fate !== 'damaged') return packet;
  const at = random.below(packet.length);
  return packet.with(at, (packet[at] ?? 0) ^ (1 << random.below(8)));
}
