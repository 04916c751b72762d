import { describe, expect, test } from 'vitest';
import { explainRefusal, type RefusedStep } from '../../../src/ike/refusals.ts';
import { isErrorNotify, NotifyType, notifyName } from '../../../src/ike/wire/iana.ts';
import { notify } from '../../../src/ike/wire/notify.ts';

const STEPS: readonly RefusedStep[] = [
  'sa-init',
  'auth',
  'first-child',
  'new-child',
  'child-rekey',
  'ike-rekey',
  'informational',
];
/** The error types of the IANA registry that a peer with a shared key can send. */
const REGISTRY = [1, 4, 5, 7, 9, 11, 14, 17, 24, ...Array.from({ length: 15 }, (_, i) => 34 + i)];
const PEER = '198.51.100.20';

test('the names of all error types of the registry are known, and of no other', () => {
  const known = Object.values(NotifyType).filter(isErrorNotify);
  expect(known.sort((a, b) => a - b)).toEqual(REGISTRY);
});

describe.each(STEPS)('in step %s', (step) => {
  const explain = (notifyType: number, data?: Uint8Array) =>
    explainRefusal(notify(notifyType, data), { peer: PEER, step, offered: 'OURS', localId: 'ID', hint: '' });

  test.each(REGISTRY.map((type) => ({ type, name: notifyName(type) })))(
    '$name ($type) says who, what and what to do',
    ({ type, name }) => {
      for (const data of [undefined, Uint8Array.of(0, 20), new Uint8Array(9)]) {
        const sentence = explain(type, data);
        expect(sentence).toMatch(new RegExp(`^198\\.51\\.100\\.20 [a-z][^:]+ \\(${name}\\): .{15,}[a-z0-9)]$`, 'i'));
        expect(sentence).not.toMatch(/undefined|NaN|not known here|\s{2}|: :/);
        expect(sentence.length).toBeLessThan(320);
      }
    },
  );

  test('a type without a name goes by its number', () => {
    expect(explain(100)).toMatch(/\(NOTIFY_100\): an error type that is not known here; its log has the reason$/);
    expect(explain(9000)).toMatch(/\(NOTIFY_9000\): a type of its vendor's own; look up error 9000 /);
  });
});

test.each<[number, RefusedStep, string]>([
  [
    14,
    'sa-init',
    'refused our IKE proposal (NO_PROPOSAL_CHOSEN): we offered OURS; set the same phase 1 suite at both ends',
  ],
  [
    14,
    'first-child',
    'refused our ESP proposal (NO_PROPOSAL_CHOSEN): we offered OURS; set the same phase 2 suite at both ends',
  ],
  [
    35,
    'child-rekey',
    'does not allow the rekey of the CHILD_SA (NO_ADDITIONAL_SAS): allow rekeying at the peer, or set its lifetimes longer than ours',
  ],
  [
    38,
    'first-child',
    'refused the traffic selectors 0.0.0.0/0 both ways (TS_UNACCEPTABLE): set any-to-any selectors at the peer',
  ],
  [43, 'ike-rekey', 'is busy with another exchange (TEMPORARY_FAILURE): asking again soon'],
  [5, 'sa-init', 'does not speak IKEv2 (INVALID_MAJOR_VERSION): set its connection to IKEv2'],
])('error %i in step %s reads like this', (type, step, sentence) => {
  expect(explainRefusal(notify(type), { peer: PEER, step, offered: 'OURS' })).toBe(`${PEER} ${sentence}`);
});

test('the group that INVALID_KE_PAYLOAD asks for has its name, where it names one', () => {
  const explain = (data: Uint8Array) =>
    explainRefusal(notify(17, data), { peer: PEER, step: 'new-child', offered: 'OURS' });
  expect(explain(Uint8Array.of(0, 19))).toContain('wants PFS group ECP_256 (');
  expect(explain(Uint8Array.of(0, 2))).toContain('wants PFS group DH_2 (');
  expect(explain(Uint8Array.of(2))).toContain('wants PFS group that it does not name (');
});
