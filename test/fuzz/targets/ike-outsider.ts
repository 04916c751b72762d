import { equalBytes } from '../../../src/lib/bytes.ts';
import { ip } from '../../../src/lib/ip.ts';
import { BRANCH, GATEWAY } from '../../sim/pair.ts';
import { refer, resolve } from '../engine/references.ts';
import { type FuzzTarget, Violation } from '../engine/target.ts';
import { type Duo, type End, other, type Role } from '../ike/duo.ts';
import { mutateMessage } from '../ike/mutate-message.ts';
import { SCENES, type Scene, sceneOf } from '../ike/scenes.ts';

interface Datagram {
  readonly bytes: Uint8Array;
  readonly from: 'peer' | 'peer, other port' | 'stranger';
  readonly port: 500 | 4500;
}

interface Input {
  readonly scene: string;
  readonly datagrams: readonly Datagram[];
}

const STRANGER = ip('203.0.113.66');
const MAX_DATAGRAMS = 3;
/** By then whatever was under way is over, and what drains has drained. */
const AFTERMATH_MS = 40_000;

export const ikeOutsider: FuzzTarget<Input> = {
  name: 'ike-outsider',
  about: 'datagrams of somebody without keys: no trace in an SA, no end to a handshake, no answer to anybody else',
  share: 2,

  seeds: () =>
    SCENES.flatMap(({ name }) => libraryOf(name).map((bytes) => ({ scene: name, datagrams: [fromPeer(bytes)] }))),

  mutate({ scene, datagrams }, donor, dice) {
    const library = libraryOf(scene);
    const changed = datagrams.map((datagram, i) => {
      if (dice.below(datagrams.length) !== i) return datagram;
      const part = dice.oneIn(2) ? dice.pick(donor.datagrams).bytes : dice.pick(library);
      return { ...datagram, bytes: mutateMessage(datagram.bytes, part, dice) };
    });
    switch (dice.below(12)) {
      case 0:
        return { scene, datagrams: [...changed, fromPeer(dice.pick(library))].slice(-MAX_DATAGRAMS) };
      case 1:
        return { scene, datagrams: [...changed, ...donor.datagrams].slice(-MAX_DATAGRAMS) };
      case 2:
        return { scene, datagrams: changed.length > 1 ? changed.slice(1) : changed };
      case 3:
        return {
          scene,
          datagrams: changed.map((d) => ({ ...d, from: dice.pick(['peer', 'peer, other port', 'stranger']) })),
        };
      case 4:
        return { scene, datagrams: changed.map((d) => ({ ...d, port: dice.pick([500, 4500]) })) };
      case 5:
        return { scene: dice.pick(SCENES).name, datagrams: changed };
      default:
        return { scene, datagrams: changed };
    }
  },

  run({ scene: name, datagrams }) {
    const scene = sceneOf(name);
    const duo = victims.get(name) ?? scene.build();
    victims.delete(name);
    const untouched = scene.quiet ? attackQuiet(scene, duo, datagrams) : attackBusy(scene, duo, datagrams);
    duo.stopWatch();
    if (untouched) victims.set(name, duo);
    return datagrams.length;
  },

  format: ({ scene, datagrams }) =>
    JSON.stringify({ scene, datagrams: datagrams.map((d) => ({ ...d, bytes: refer(d.bytes, libraryOf(scene)) })) }),

  parse(line) {
    const { scene, datagrams } = JSON.parse(line);
    return {
      scene,
      datagrams: datagrams.map((d: { bytes: string }) => ({ ...d, bytes: resolve(d.bytes, libraryOf(scene)) })),
    };
  },

  *smaller({ scene, datagrams }) {
    for (let i = 0; i < datagrams.length; i++) yield { scene, datagrams: datagrams.filter((_, j) => j !== i) };
  },
};

const fromPeer = (bytes: Uint8Array): Datagram => ({ bytes, from: 'peer', port: 4500 });

const libraries = new Map<string, readonly Uint8Array[]>();

/** Everything that either end has sent in a scene: an attacker on the path has seen it. */
function libraryOf(scene: string): readonly Uint8Array[] {
  const known = libraries.get(scene);
  if (known !== undefined) return known;
  const sent = sceneOf(scene)
    .build()
    .sent.map(({ bytes }) => bytes);
  const library = sent.length > 0 ? sent : [new Uint8Array(28)];
  libraries.set(scene, library);
  return library;
}

/** Victims that nothing has changed so far; that is what makes them fit for the next input. */
const victims = new Map<string, Duo>();

/** True when the victim is as it was. */
function attackQuiet(scene: Scene, duo: Duo, datagrams: readonly Datagram[]): boolean {
  const end = duo[scene.victim];
  let untouched = true;
  for (const datagram of datagrams) {
    const before = stateOf(end, duo);
    const history = end.history;
    const drops = totalDrops(end);
    const sends = inject(duo, scene.victim, datagram);
    const after = stateOf(end, duo);
    const accepted = scene.victim === 'responder' && sends.length > 0;
    if (after.sa !== before.sa) throw new Violation(`a datagram without keys changed ${before.sa} into ${after.sa}`);
    if (after.wakeAt !== before.wakeAt && !accepted) throw new Violation('a datagram without keys moved a timer');
    if (end.history > history + 1) throw new Violation('one datagram wrote more than one row of history');
    if (end.history > history && scene.victim === 'initiator')
      throw new Violation('a datagram without keys wrote history');
    if (sends.length === 0 && totalDrops(end) !== drops + 1 && end.history === history)
      throw new Violation('a dropped datagram was not counted');
    untouched &&= !accepted;
  }
  return untouched;
}

/** A handshake, a rekey or an end under way goes on as if nothing had happened. */
function attackBusy(scene: Scene, duo: Duo, datagrams: readonly Datagram[]): boolean {
  const genuine = duo.inFlight.map(({ bytes }) => bytes);
  const forged = datagrams.filter(({ bytes }) => !genuine.some((known) => equalBytes(known, bytes)));
  for (const datagram of forged) inject(duo, scene.victim, datagram);
  const stops = scene.name.includes('stopping');
  duo.deliver().wait(AFTERMATH_MS, ['initiator', 'responder'], true);
  const [a, b] = [duo.initiator, duo.responder].map((end) => end.connection.view(duo.now));
  if (stops) {
    if (!duo.initiator.stopped) throw new Violation('a datagram without keys kept an end from stopping');
    return false;
  }
  if (a?.state !== 'established' || b?.state !== 'established')
    throw new Violation(`a datagram without keys left ${a?.state} and ${b?.state}: ${a?.lastError ?? b?.lastError}`);
  if (a.spiI !== b.spiI || a.spiR !== b.spiR) throw new Violation('the ends are in different IKE SAs');
  for (const role of ['initiator', 'responder'] as const) {
    const spi = duo[role].sending;
    if (spi === undefined || !duo[other(role)].installed.has(spi))
      throw new Violation(`the ${role} sends what the other end cannot decrypt`);
    if (duo[role].installed.size !== 1) throw new Violation(`the ${role} holds ${duo[role].installed.size} CHILD_SAs`);
  }
  return false;
}

/** Gives the answers; each must go back to where the datagram came from, and be no larger than three of it. */
function inject(duo: Duo, victim: Role, { bytes, from, port }: Datagram): readonly Uint8Array[] {
  const peer = victim === 'initiator' ? GATEWAY : BRANCH;
  const source = { address: from === 'stranger' ? STRANGER : peer, port: from === 'peer' ? port : 40_000 };
  const end = duo[victim];
  const sends = end.feed({ kind: 'datagram', localPort: port, from: source, bytes }, duo.now);
  const answers = sends.filter(({ bytes: sent }) => ((sent[19] ?? 0) & 0x20) !== 0);
  for (const answer of answers) {
    if (answer.to !== source || answer.localPort !== port)
      throw new Violation('an answer does not go where the request came from');
    if (answer.bytes.length > 3 * bytes.length)
      throw new Violation(`${bytes.length} octets are answered with ${answer.bytes.length}`);
  }
  if (answers.length > 1) throw new Violation('one datagram has more than one answer');
  // Our own requests that a forged answer brought about are on their way to the genuine peer.
  for (const { localPort, bytes: sent } of sends.filter((send) => !answers.includes(send)))
    duo.inFlight.push({ by: victim, port: localPort, bytes: sent });
  return answers.map((answer) => answer.bytes);
}

/** All that an operator or the data plane could see of a change. */
function stateOf(end: End, { now }: Duo): { readonly sa: string; readonly wakeAt: number | undefined } {
  const { state, lastError, rekeyError, retryInMs, spiI, spiR, remote, child, rekeyInMs } = end.connection.view(now);
  const where = remote && `${remote.address.bytes.join('.')}:${remote.port}`;
  const sa = [state, lastError, rekeyError, retryInMs, spiI, spiR, where, rekeyInMs, child?.spiIn, child?.spiOut];
  return { sa: [...sa, end.sending, ...end.installed.keys()].join(' '), wakeAt: end.connection.nextTimeout() };
}

function totalDrops(end: End): number {
  let total = 0;
  for (const count of end.connection.drops.values()) total += count;
  return total;
}
