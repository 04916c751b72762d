import type { IkeInput } from '../../../src/ike/index.ts';
import { decodePayloads, encodePayloads, type InnerOctets } from '../../../src/ike/wire/message.ts';
import type { Dice } from '../engine/dice.ts';
import { refer, resolve } from '../engine/references.ts';
import { type FuzzTarget, Violation } from '../engine/target.ts';
import { datagramFrom, other } from '../ike/duo.ts';
import { mutateChain } from '../ike/mutate-message.ts';
import { SCENES, type Scene, sceneOf } from '../ike/scenes.ts';
import { insidesOf, type Sealed, seal } from '../ike/sealing.ts';

type Step =
  | ({ readonly kind: 'sealed' } & Sealed)
  /** Time passes for the victim alone. */
  | { readonly kind: 'wait'; readonly ms: number }
  /** The genuine peer gets what waits for it, and answers. */
  | { readonly kind: 'deliver' }
  | { readonly kind: 'input'; readonly input: Exclude<IkeInput, { kind: 'datagram' }> };

interface Input {
  readonly scene: string;
  readonly steps: readonly Step[];
}

const MAX_STEPS = 8;
const EXCHANGES = [34, 35, 36, 37, 43] as const;
/** Liveness, retransmission and retries have all had their turn by then. */
const AFTERMATH_MS = 15_000;
const STOP_MS = 3_000;

const INPUTS: readonly Extract<Step, { kind: 'input' }>['input'][] = [
  { kind: 'start' },
  { kind: 'timeout' },
  { kind: 'inbound-traffic' },
  { kind: 'outbound-traffic' },
  { kind: 'rekey', what: 'child' },
  { kind: 'rekey', what: 'ike' },
  { kind: 'stop' },
];

/** Where there are keys. */
const KEYED = SCENES.filter((scene) => scene.build()[scene.victim].keys.length > 0);

export const ikeInsider: FuzzTarget<Input> = {
  name: 'ike-insider',
  about: 'messages under the right keys with anything inside, at any moment: no throw, no leak, and a stop that stops',
  share: 1,

  seeds: () =>
    KEYED.flatMap(({ name }) =>
      insidesOf(sceneOf(name).build(), sceneOf(name).victim).flatMap((sealed) => [
        { scene: name, steps: [{ kind: 'sealed', ...sealed }] } as const,
        { scene: name, steps: [{ kind: 'sealed', ...sealed, response: !sealed.response }] } as const,
      ]),
    ),

  mutate({ scene, steps }, donor, dice) {
    const library = insidesIn(scene);
    const at = dice.below(steps.length);
    switch (dice.below(10)) {
      case 0:
        return { scene, steps: [...steps, newStep(scene, dice)].slice(-MAX_STEPS) };
      case 1:
        return { scene, steps: [...steps, ...donor.steps].slice(-MAX_STEPS) };
      case 2:
        return steps.length > 1 ? { scene, steps: steps.filter((_, i) => i !== at) } : { scene, steps };
      case 3:
        return { scene: dice.pick(KEYED).name, steps };
      case 4:
        return { scene, steps: steps.flatMap((step, i) => (i === at ? split(step, dice) : step)).slice(-MAX_STEPS) };
      default: {
        const part = donor.steps.find((step) => step.kind === 'sealed')?.inner ?? dice.pick(library).inner;
        return { scene, steps: steps.map((step, i) => (i === at ? mutateStep(step, part, dice) : step)) };
      }
    }
  },

  run({ scene: name, steps }) {
    const scene = sceneOf(name);
    const duo = scene.build();
    const { victim } = scene;
    const end = duo[victim];
    let messages = 0;
    for (const step of steps) {
      if (end.stopped) break;
      switch (step.kind) {
        case 'sealed': {
          const bytes = seal(duo, victim, step);
          if (bytes === undefined) break;
          messages++;
          const peer = other(victim);
          duo.sent.push({ by: peer, port: 4500, bytes });
          duo.feed(victim, datagramFrom(peer, 4500, bytes));
          break;
        }
        case 'wait':
          duo.wait(step.ms, [victim], false);
          break;
        case 'deliver':
          duo.deliver(2);
          break;
        case 'input':
          duo.feed(victim, step.input);
          break;
      }
      checkView(scene, duo.now, end.connection.view(duo.now), end.connection.nextTimeout());
    }
    duo.wait(AFTERMATH_MS, [victim], false);
    duo.feed(victim, { kind: 'stop' });
    duo.wait(STOP_MS, [victim], false);
    if (!end.stopped) throw new Violation('stop does not stop');
    if (end.connection.nextTimeout() !== undefined) throw new Violation('a timer runs after stopped');
    duo.stopWatch();
    return messages;
  },

  format: ({ scene, steps }) => JSON.stringify({ scene, steps: steps.map((step) => formatStep(step, scene)) }),

  parse(line) {
    const { scene, steps } = JSON.parse(line);
    return { scene, steps: steps.map((step: never) => parseStep(step, scene)) };
  },

  *smaller({ scene, steps }) {
    for (let i = 0; i < steps.length; i++)
      if (steps.length > 1) yield { scene, steps: steps.filter((_, j) => j !== i) };
    for (const [i, step] of steps.entries())
      for (const smaller of smallerSteps(step)) yield { scene, steps: steps.map((s, j) => (i === j ? smaller : s)) };
  },
};

const libraries = new Map<string, readonly Sealed[]>();

/** What the peer has put under SK, in this scene and in all others. */
function insidesIn(scene: string): readonly Sealed[] {
  const known = libraries.get(scene);
  if (known !== undefined) return known;
  const { build, victim } = sceneOf(scene);
  const others = ['initiator', 'responder'].flatMap((by) => [
    ...insidesOf(sceneOf(`${victim}, child rekeyed by ${by}`).build(), victim),
    ...insidesOf(sceneOf(`${victim}, ike rekeyed by ${by}`).build(), victim),
  ]);
  const library = [...insidesOf(build(), victim), ...others];
  libraries.set(scene, library);
  return library;
}

function newStep(scene: string, dice: Dice): Step {
  switch (dice.below(6)) {
    case 0:
      return { kind: 'wait', ms: dice.pick([1, 100, 600, 3_000, 11_000, 40_000]) };
    case 1:
      return { kind: 'deliver' };
    case 2:
      return { kind: 'input', input: dice.pick(INPUTS) };
    default:
      return { kind: 'sealed', ...dice.pick(insidesIn(scene)) };
  }
}

function mutateStep(step: Step, donor: InnerOctets, dice: Dice): Step {
  if (step.kind === 'wait') return { ...step, ms: dice.pick([1, 100, 600, 3_000, 11_000, 40_000]) };
  if (step.kind === 'input') return { ...step, input: dice.pick(INPUTS) };
  if (step.kind === 'deliver') return step;
  switch (dice.below(16)) {
    case 0:
      return { ...step, exchangeType: dice.pick(EXCHANGES) };
    case 1:
      return { ...step, response: !step.response };
    case 2:
      return { ...step, asInitiator: !step.asInitiator };
    case 3:
      return { ...step, skippedIds: dice.pick([0, 0, -1, 1, 0x7fff_ffff]) };
    case 4:
      return { ...step, sa: dice.below(3) };
    case 5:
      return {
        ...step,
        fragment: dice.oneIn(3) ? undefined : { number: 1 + dice.below(4), total: 1 + dice.below(70) },
      };
    default:
      return { ...step, inner: mutateChain(step.inner, donor, dice) };
  }
}

/** One message as several fragments, in an order of the network's choice. */
function split(step: Step, dice: Dice): Step[] {
  if (step.kind !== 'sealed' || step.fragment !== undefined) return [step];
  const { firstPayload, bytes } = step.inner;
  const total = 1 + dice.below(4);
  const room = Math.ceil(bytes.length / total);
  const parts = Array.from({ length: total }, (_, i) => {
    const part = { firstPayload, bytes: bytes.slice(i * room, (i + 1) * room) };
    return { ...step, inner: part, fragment: { number: i + 1, total } };
  });
  // The id of a request counts on with the first datagram that has it.
  const again = step.response ? step.skippedIds : step.skippedIds - 1;
  return (dice.oneIn(3) ? parts.reverse() : parts).map((part, i) => (i === 0 ? part : { ...part, skippedIds: again }));
}

function checkView(scene: Scene, now: number, view: { readonly state: string }, wakeAt: number | undefined): void {
  if (wakeAt !== undefined && !Number.isFinite(wakeAt)) throw new Violation(`the next wake-up is at ${wakeAt}`);
  const waits = view.state === 'connecting' || view.state === 'backoff' || view.state === 'established';
  if (waits && wakeAt === undefined)
    throw new Violation(`${scene.victim} is ${view.state} at ${now} and waits for ever`);
}

function formatStep(step: Step, scene: string): object {
  if (step.kind !== 'sealed') return step;
  const { firstPayload, bytes } = step.inner;
  return { ...step, inner: { firstPayload, bytes: refer(bytes, sourcesOf(scene)) } };
}

function parseStep(step: { kind: Step['kind']; inner?: { bytes: string } }, scene: string): Step {
  if (step.inner === undefined) return step as Step;
  return { ...step, inner: { ...step.inner, bytes: resolve(step.inner.bytes, sourcesOf(scene)) } } as Step;
}

const sourcesOf = (scene: string): Uint8Array[] => insidesIn(scene).map(({ inner }) => inner.bytes);

function* smallerSteps(step: Step): Iterable<Step> {
  if (step.kind !== 'sealed') return;
  const decoded = decodePayloads(step.inner);
  if (!decoded.ok) return;
  for (let i = 0; i < decoded.value.length; i++)
    yield { ...step, inner: encodePayloads(decoded.value.filter((_, j) => j !== i)) };
}
