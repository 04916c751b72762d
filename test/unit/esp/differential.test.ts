import { expect, it } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { InboundSa } from '../../../src/esp/inbound-sa.ts';
import { sealPacket } from '../../../src/esp/packet.ts';
import { ReplayWindow } from '../../../src/esp/replay-window.ts';
import { loadAddon } from '../../../src/io/addon.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import type { EspSa } from '../../../src/lib/esp-sa.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { Dice } from '../../fuzz/engine/dice.ts';
import { figure, SOAK } from '../../netns/soak.ts';
import { ipv4, ipv6 } from './inner-packets.ts';

/** Datagrams that arrive, whatever their fate. */
const PACKETS = SOAK ? 1_000_000 : 5_000;
const PACKETS_PER_SA = 250;
/** Each test holds the event loop for a while, and a worker must answer. */
const TESTS = SOAK ? 100 : 4;
const ALPHABET_OF_FATES = [
  'fine',
  'fine',
  'fine',
  'fine',
  'lost',
  'twice',
  'late',
  'very-late',
  'damaged',
  'cut',
] as const;

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
  const keys = { spi: sa.spi, key: sa.key.reveal(), salt: sa.salt.reveal(), esn: sa.esn, replayWindow };
  const readable = new InboundSa(sa, new ReplayWindow(replayWindow), nodeCrypto);
  const native = addon.createEspOpener(keys);
  const sent: Uint8Array[] = [];
  let sequence = firstSequence(sa.esn, random);
  for (let count = 0; count < PACKETS_PER_SA; count++) {
    const inner = random.below(2) === 0 ? ipv4(random.below(120)) : ipv6(random.below(120));
    const packet = sealPacket(sa, sequence, inner, nodeCrypto);
    if (toHex(addon.espSeal(keys, sequence, inner)) !== toHex(packet))
      expect.fail(`sealed otherwise: sequence ${sequence}, ${toHex(inner)}`);
    sent.push(packet);
    sequence += BigInt(random.below(20) === 0 ? random.below(2 * replayWindow) : 1);
  }
  for (const packet of overABadPath(sent, random)) {
    const expected = readable.receive(packet);
    const came = native.open(packet);
    const words = typeof came === 'string' ? came : 'opened';
    const wanted = expected.ok ? (expected.value.kind === 'packet' ? 'opened' : 'dummy') : expected.error;
    outcomes[wanted] = (outcomes[wanted] ?? 0) + 1;
    // The packet path counts both under one reason.
    if (words !== (wanted === 'too-old' ? 'replayed' : wanted))
      expect.fail(`expected ${wanted}, the packet path says ${words}: ${toHex(packet)}`);
    if (expected.ok && typeof came !== 'string')
      expect(came).toEqual({ sequence: expected.value.sequence, innerPacket: innerOf(expected.value) });
  }
}

const innerOf = (received: { kind: string; innerPacket?: Uint8Array }): Uint8Array | undefined => received.innerPacket;

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
    const fate = random.pick(ALPHABET_OF_FATES);
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

function changed(packet: Uint8Array, fate: string, random: Dice): Uint8Array {
  if (fate === 'cut') return packet.slice(0, random.below(packet.length));
  if (fate !== 'damaged') return packet;
  const at = random.below(packet.length);
  return packet.with(at, (packet[at] ?? 0) ^ (1 << random.below(8)));
}
