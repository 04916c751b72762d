import { REFUSAL_GRACE_MS } from '../../../src/ike/timing.ts';
import { NotifyType } from '../../../src/ike/wire/iana.ts';
import { decodeMessage, encodeMessage } from '../../../src/ike/wire/message.ts';
import { notify } from '../../../src/ike/wire/notify.ts';
import { Duo, datagramFrom, type Role } from './duo.ts';

/** A moment in the life of two ends at which one of them, the victim, is attacked. */
export interface Scene {
  readonly name: string;
  readonly victim: Role;
  /** Nothing is under way: whatever comes from outside must leave no trace. */
  readonly quiet: boolean;
  build(): Duo;
}

const established = (duo: Duo): Duo => duo.start().deliver();

function rekeying(duo: Duo, what: 'ike' | 'child', by: readonly Role[]): Duo {
  established(duo);
  for (const role of by) duo.feed(role, { kind: 'rekey', what });
  return duo;
}

/** The new IKE SA stands, and the old one may still be asked about its end. */
function rekeyed(duo: Duo, what: 'ike' | 'child', by: Role): Duo {
  return rekeying(duo, what, [by]).deliver();
}

type Moment = readonly [name: string, quiet: boolean, play: (duo: Duo) => Duo];

const OF_BOTH: readonly Moment[] = [
  ['established', true, established],
  ['child rekeyed by initiator', true, (duo) => rekeyed(duo, 'child', 'initiator')],
  ['child rekeyed by responder', true, (duo) => rekeyed(duo, 'child', 'responder')],
  ['ike rekeyed by initiator', true, (duo) => rekeyed(duo, 'ike', 'initiator')],
  ['ike rekeyed by responder', true, (duo) => rekeyed(duo, 'ike', 'responder')],
  ['child rekeying by initiator', false, (duo) => rekeying(duo, 'child', ['initiator'])],
  ['child rekeying by responder', false, (duo) => rekeying(duo, 'child', ['responder'])],
  ['child rekeying by both', false, (duo) => rekeying(duo, 'child', ['initiator', 'responder'])],
  ['ike rekeying by initiator', false, (duo) => rekeying(duo, 'ike', ['initiator'])],
  ['ike rekeying by responder', false, (duo) => rekeying(duo, 'ike', ['responder'])],
  ['ike rekeying by both', false, (duo) => rekeying(duo, 'ike', ['initiator', 'responder'])],
  ['ike rekeyed half by initiator', false, (duo) => rekeying(duo, 'ike', ['initiator']).deliver(1)],
  ['ike rekeyed half by responder', false, (duo) => rekeying(duo, 'ike', ['responder']).deliver(1)],
];

/** Somebody said no in the gateway's name, and the next attempt is a second away. */
function refused(duo: Duo): Duo {
  duo.start();
  const request = duo.inFlight.splice(0)[0];
  const header = request && decodeMessage(request.bytes);
  if (!header?.ok) throw new Error('unreachable');
  const answer = { ...header.value.header, fromInitiator: false, response: true };
  const no = encodeMessage(answer, [notify(NotifyType.NoProposalChosen)]);
  duo.feed('initiator', datagramFrom('responder', 500, no));
  return duo.wait(REFUSAL_GRACE_MS + 100, ['initiator'], false);
}

function stopping(duo: Duo): Duo {
  established(duo).feed('initiator', { kind: 'stop' });
  return duo;
}

const OF_INITIATOR: readonly Moment[] = [
  ['not started', true, (duo) => duo],
  ['sa-init sent', false, (duo) => duo.start()],
  ['auth sent', false, (duo) => duo.start().deliver(2)],
  ['auth answered', false, (duo) => duo.start().deliver(3)],
  ['unheard', false, (duo) => duo.start().wait(9_100, ['initiator'], false)],
  ['refused', false, refused],
  ['stopping', false, stopping],
  ['stopped', true, (duo) => stopping(duo).deliver()],
];

const OF_RESPONDER: readonly Moment[] = [
  ['waiting', false, (duo) => duo.start()],
  ['half-open', false, (duo) => duo.start().deliver(2)],
];

const MOMENTS = [
  ...[...OF_INITIATOR, ...OF_BOTH].map((moment) => ({ victim: 'initiator', moment }) as const),
  ...[...OF_RESPONDER, ...OF_BOTH].map((moment) => ({ victim: 'responder', moment }) as const),
];

/** Each with keys of its own: what somebody without keys carries from one scene to another is a capture of another SA. */
export const SCENES: readonly Scene[] = MOMENTS.map(({ victim, moment: [name, quiet, play] }, i) => ({
  name: `${victim}, ${name}`,
  victim,
  quiet,
  build: () => play(new Duo(10 * i)).startWatch(),
}));

export function sceneOf(name: string): Scene {
  const scene = SCENES.find((candidate) => candidate.name === name);
  if (scene === undefined) throw new RangeError(`there is no scene "${name}"`);
  return scene;
}
