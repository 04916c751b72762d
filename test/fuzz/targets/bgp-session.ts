import { HEADER_OCTETS } from '../../../src/bgp/wire/iana.ts';
import { concat, fromHex, toHex } from '../../../src/lib/bytes.ts';
import { mutateBody } from '../bgp/mutate-update.ts';
import { AttackedSession, STATES, type State } from '../bgp/peer.ts';
import { bgpSeeds } from '../bgp/seeds.ts';
import type { FuzzTarget } from '../engine/target.ts';
import { type BodyInput, shorter } from './bgp-decoder.ts';

/** What a peer sends from some state of the session on. */
interface Input {
  readonly asnOctets: 2 | 4;
  readonly state: State;
  readonly messages: readonly Message[];
}

interface Message {
  readonly type: number;
  readonly body: Uint8Array;
  /** Added to the length in the header: mostly 0. */
  readonly lengthOff: number;
}

const MAX_MESSAGES = 12;

export const bgpSession: FuzzTarget<Input> = {
  name: 'bgp-session',
  about: 'a peer that says anything at all in any state: no throw, no state left, nothing sent that is not a message',
  share: 4,

  seeds: () =>
    bgpSeeds().flatMap(({ asnOctets, type, body }) =>
      STATES.map((state) => ({ asnOctets, state, messages: [{ type, body, lengthOff: 0 }] })),
    ),

  mutate(input, donor, dice) {
    const messages = [...input.messages];
    const at = dice.below(messages.length + 1);
    const old = messages[at];
    if (old === undefined || dice.oneIn(8)) messages.splice(at, 0, dice.pick(donor.messages));
    else if (dice.oneIn(12) && messages.length > 1) messages.splice(at, 1);
    else {
      const other = dice.pick(donor.messages);
      const asInput = (message: Message): BodyInput => ({ asnOctets: input.asnOctets, ...message });
      messages[at] = {
        type: dice.oneIn(24) ? dice.below(7) : old.type,
        body: mutateBody(asInput(old), asInput(other), dice),
        lengthOff: dice.oneIn(24) ? dice.pick([-19, -1, 1, 100, 5_000]) : 0,
      };
    }
    return {
      asnOctets: dice.oneIn(24) ? (input.asnOctets === 2 ? 4 : 2) : input.asnOctets,
      state: dice.oneIn(12) ? dice.pick(STATES) : input.state,
      messages: messages.slice(0, MAX_MESSAGES),
    };
  },

  run({ asnOctets, state, messages }) {
    const session = new AttackedSession(asnOctets).reach(state);
    for (const message of messages) {
      const bytes = framed(message);
      // in two pieces: TCP keeps no boundaries
      session.receive(bytes.subarray(0, bytes.length >> 1));
      session.receive(bytes.subarray(bytes.length >> 1));
    }
    session.end();
    return messages.length;
  },

  format: ({ asnOctets, state, messages }) =>
    [asnOctets, state, ...messages.map(({ type, body, lengthOff }) => `${type}:${lengthOff}:${toHex(body)}`)].join(' '),

  parse(line) {
    const [octets, state, ...messages] = line.split(' ');
    return {
      asnOctets: octets === '2' ? 2 : 4,
      state: STATES.find((each) => each === state) ?? 'established',
      messages: messages.map((text) => {
        const [type, lengthOff, hex = ''] = text.split(':');
        return { type: Number(type), lengthOff: Number(lengthOff), body: fromHex(hex) };
      }),
    };
  },

  *smaller(input) {
    const { messages } = input;
    for (let i = 0; i < messages.length; i++) yield { ...input, messages: messages.filter((_, at) => at !== i) };
    for (const [i, message] of messages.entries())
      for (const body of shorter(message.body)) yield { ...input, messages: messages.with(i, { ...message, body }) };
  },
};

function framed({ type, body, lengthOff }: Message): Uint8Array {
  const length = Math.max(0, HEADER_OCTETS + body.length + lengthOff) & 0xffff;
  const header = new Uint8Array(HEADER_OCTETS).fill(0xff, 0, 16);
  header.set([length >> 8, length & 0xff, type], 16);
  return concat(header, body);
}
