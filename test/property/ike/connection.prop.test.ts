import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { IkeInput } from '../../../src/ike/index.ts';
import { Duo, datagramFrom, other, type Role } from '../../fuzz/ike/duo.ts';

type Move =
  | { readonly kind: 'input'; readonly role: Role; readonly input: Exclude<IkeInput, { kind: 'datagram' }> }
  | { readonly kind: 'deliver' | 'lose' | 'swap' | 'repeat' }
  | { readonly kind: 'octets'; readonly role: Role; readonly bytes: Uint8Array }
  | { readonly kind: 'damage'; readonly at: number; readonly value: number }
  | { readonly kind: 'wait'; readonly ms: number };

const role = fc.constantFrom<Role>('initiator', 'responder');
const input = fc.constantFrom<Extract<Move, { kind: 'input' }>['input']>(
  { kind: 'start' },
  { kind: 'timeout' },
  { kind: 'inbound-traffic' },
  { kind: 'outbound-traffic' },
  { kind: 'rekey', what: 'child' },
  { kind: 'rekey', what: 'ike' },
  { kind: 'stop' },
);
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('input' as const), role, input }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom('deliver', 'deliver', 'deliver', 'lose', 'swap', 'repeat') }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('octets' as const), role, bytes: fc.uint8Array({ maxLength: 200 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('damage' as const),
      at: fc.nat(500),
      value: fc.integer({ min: 0, max: 255 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 300, 2_000, 12_000, 70_000) }),
  },
);

// Every call in Duo drains the core, and checks what it tells the data plane.
describe('two connections under any inputs in any order', () => {
  test.prop([fc.boolean(), fc.array(move, { maxLength: 60 })], { numRuns: 300 })(
    'never throw, never contradict themselves, and stop when they are told to',
    (started, moves) => {
      const duo = new Duo(7);
      if (started) duo.start().deliver();
      for (const step of moves) make(duo, step);
      for (const end of ['initiator', 'responder'] as const) {
        duo.feed(end, { kind: 'start' });
        duo.feed(end, { kind: 'stop' });
      }
      duo.inFlight.length = 0;
      duo.wait(3_000, ['initiator', 'responder'], false);
      for (const end of [duo.initiator, duo.responder]) {
        expect(end.stopped).toBe(true);
        expect(end.connection.nextTimeout()).toBeUndefined();
      }
    },
  );
});

function make(duo: Duo, step: Move): void {
  const [oldest] = duo.inFlight;
  switch (step.kind) {
    case 'input':
      if (!duo[step.role].stopped) duo.feed(step.role, step.input);
      return;
    case 'deliver':
      duo.deliver(1);
      return;
    case 'lose':
      duo.inFlight.shift();
      return;
    case 'swap':
      duo.inFlight.push(...duo.inFlight.splice(0, 1));
      return;
    case 'repeat':
      if (oldest !== undefined) duo.inFlight.push(oldest);
      return;
    case 'octets':
      duo.feed(step.role, datagramFrom(other(step.role), 4500, step.bytes));
      return;
    case 'damage': {
      if (oldest === undefined) return;
      const bytes = oldest.bytes.slice();
      bytes[step.at % bytes.length] = step.value;
      duo.feed(other(oldest.by), datagramFrom(oldest.by, oldest.port, bytes));
      return;
    }
    case 'wait':
      duo.wait(step.ms, ['initiator', 'responder'], true);
  }
}
