import { Reader } from '../lib/bytes.ts';
import { describeGroup } from './proposal.ts';
import { NotifyType, notifyName } from './wire/iana.ts';
import type { NotifyPayload } from './wire/notify.ts';

/** What the peer answers with an error; `informational`: it says so in a request or an answer about nothing else. */
export type RefusedStep =
  | 'sa-init'
  | 'intermediate'
  | 'auth'
  | 'first-child'
  | 'new-child'
  | 'child-rekey'
  | 'ike-rekey'
  | 'followup'
  | 'informational';

/** What only the exchange knows. */
interface RefusalFacts {
  readonly peer: string;
  readonly step: RefusedStep;
  /** The suites that we offered, in words. */
  readonly offered?: string;
  /** How we called ourselves, in words. */
  readonly localId?: string;
  /** What else may be the cause of NO_PROPOSAL_CHOSEN, as the end of the sentence. */
  readonly hint?: string;
}

type Facts = Required<RefusalFacts> & { readonly object: string; readonly data: Uint8Array };

/** What the peer says, and what to do about it: the two sides of the colon. */
type Explanation = (facts: Facts) => readonly [says: string, remedy: string];

/** An error notify in a sentence: who, what it refuses or misses, its name, and what to do. */
export function explainRefusal({ notifyType, data }: NotifyPayload, facts: RefusalFacts): string {
  const row = ROWS[notifyType];
  const explain = row?.[facts.step] ?? row?.any ?? unknown(notifyType);
  const [says, remedy] = explain({ offered: '', localId: '', hint: '', ...facts, data, object: OBJECTS[facts.step] });
  return `${facts.peer} ${says} (${notifyName(notifyType)}): ${remedy}`;
}

const OBJECTS: Readonly<Record<RefusedStep, string>> = {
  'sa-init': 'IKE_SA_INIT',
  intermediate: 'IKE_INTERMEDIATE, which carries ML-KEM',
  auth: 'IKE_AUTH',
  'first-child': 'the CHILD_SA, though it accepted us',
  'new-child': 'a new CHILD_SA',
  'child-rekey': 'the rekey of the CHILD_SA',
  'ike-rekey': 'the rekey of the IKE SA',
  followup: 'the second half of a rekey',
  informational: 'what we said in INFORMATIONAL',
};

const refused =
  (remedy: string): Explanation =>
  ({ object }) => [`refused ${object}`, remedy];

const says =
  (what: string, remedy: string): Explanation =>
  () => [what, remedy];

const wrongGroup: Explanation = ({ data, offered }) => {
  const wanted = data.length === 2 ? describeGroup(new Reader(data).u16()) : 'that it does not name';
  return [`wants Diffie-Hellman group ${wanted}`, `we offer ${offered}; set the same group at both ends`];
};

const wrongPfs: Explanation = ({ object, offered }) => [
  `refused ${object}`,
  `it accepted this cipher without PFS and we offered ${offered}, so its PFS group differs from ours; ` +
    'set the same PFS group at both ends, or the tunnel breaks at the end of each lifetime',
];

const ANY_TO_ANY = 'set any-to-any selectors at the peer';
const MOBIKE = 'turn MOBIKE off for this connection at the peer';
const NO_ADDRESS =
  'a site-to-site tunnel takes no address from the peer; turn address assignment (mode config, IP pool) off for this connection';
const GROUP_KEYS = 'choose a site-to-site connection at the peer, not group key management (G-IKEv2)';
const AGAIN_LATER = says('is busy with another exchange', 'asking again soon');
const SOFTWARE = 'its log has the reason; what we sent follows RFC 7296, so look for a newer release of its software';

/** The error types of the IANA registry "IKEv2 Notify Message Types" by exchange; `any` for the exchanges without an entry. */
const ROWS: Readonly<Record<number, { readonly [step in RefusedStep | 'any']?: Explanation }>> = {
  [NotifyType.UnsupportedCriticalPayload]: {
    any: ({ object, data }) => [
      `refused ${object}`,
      `it takes payload type ${data[0] ?? 'unknown'} for critical, and we mark none as critical; ${SOFTWARE}`,
    ],
  },
  [NotifyType.InvalidIkeSpi]: {
    'sa-init': refused(
      'a first message needs no SPI that it knows; check that an IKEv2 responder listens at this address',
    ),
    any: says('does not know this IKE SA', 'it restarted or dropped the SA; a new one follows once it stays silent'),
  },
  [NotifyType.InvalidMajorVersion]: {
    'sa-init': says('does not speak IKEv2', 'set its connection to IKEv2'),
    any: refused(`it expects another version of IKE in the middle of an IKEv2 SA; ${SOFTWARE}`),
  },
  [NotifyType.InvalidSyntax]: {
    'sa-init': refused(`it could not read the message; ${SOFTWARE}`),
    any: says('could not read our last message and dropped the IKE SA', SOFTWARE),
  },
  [NotifyType.InvalidMessageId]: {
    any: says(
      'got a message of ours whose number it did not expect',
      'harmless once, after packets were delayed or replayed; if it repeats, look for two boxes with the same address',
    ),
  },
  [NotifyType.InvalidSpi]: {
    any: says(
      'got ESP for a CHILD_SA that it does not have',
      'harmless around a rekey, and the SA in use is replaced at once; if it repeats, look for what deletes SAs at the peer',
    ),
  },
  [NotifyType.NoProposalChosen]: {
    'sa-init': ({ offered }) => [
      'refused our IKE proposal',
      `we offered ${offered}; set the same phase 1 suite at both ends`,
    ],
    auth: refused('no suite of ours is acceptable to it; set the same phase 1 and phase 2 suites at both ends'),
    'first-child': ({ offered, hint }) => [
      'refused our ESP proposal',
      `we offered ${offered}; set the same phase 2 suite at both ends${hint}`,
    ],
    'new-child': wrongPfs,
    'child-rekey': wrongPfs,
    'ike-rekey': ({ object, offered }) => [
      `refused ${object}`,
      `we offered ${offered}; set the same phase 1 suite at both ends`,
    ],
    informational: refused('no proposal was made in it; its log has the reason'),
  },
  [NotifyType.InvalidKePayload]: {
    'first-child': refused('it wants a key exchange that IKE_AUTH does not have; set the same PFS group at both ends'),
    'new-child': ({ data, offered }) => [
      `wants PFS group ${data.length === 2 ? describeGroup(new Reader(data).u16()) : 'that it does not name'}`,
      `we offered ${offered}; set the same PFS group at both ends`,
    ],
    any: wrongGroup,
  },
  [NotifyType.AuthenticationFailed]: {
    auth: ({ localId }) => [
      'rejected our authentication',
      `the pre-shared key or the identity ${localId} differs from what the peer holds; compare both at both ends`,
    ],
    informational: says('gave up the IKE SA', 'compare the pre-shared key and the identities at both ends'),
    any: refused('it no longer accepts who we are; compare the pre-shared key and the identities at both ends'),
  },
  [NotifyType.SinglePairRequired]: {
    any: refused(
      `it wants one CHILD_SA for each pair of addresses, and routes decide what enters our tunnel; ${ANY_TO_ANY}`,
    ),
  },
  [NotifyType.NoAdditionalSas]: {
    auth: refused('it takes no further SA; look for a limit or a licence at the peer, or for stale SAs of ours'),
    'first-child': refused('it takes no CHILD_SA on this IKE SA; look for a limit or a licence at the peer'),
    any: ({ object }) => [
      `does not allow ${object}`,
      'allow rekeying at the peer, or set its lifetimes longer than ours',
    ],
  },
  [NotifyType.InternalAddressFailure]: { any: refused(NO_ADDRESS) },
  [NotifyType.FailedCpRequired]: { any: refused(`it expects us to ask for an inner address; ${NO_ADDRESS}`) },
  [NotifyType.TsUnacceptable]: { any: says('refused the traffic selectors 0.0.0.0/0 both ways', ANY_TO_ANY) },
  [NotifyType.InvalidSelectors]: {
    any: says('got packets through the tunnel that its selectors do not allow', ANY_TO_ANY),
  },
  [NotifyType.UnacceptableAddresses]: { any: says('does not accept our address', MOBIKE) },
  [NotifyType.UnexpectedNatDetected]: {
    any: says(
      'met a NAT where it allows none',
      'allow NAT traversal for this connection at the peer, or remove the NAT',
    ),
  },
  [NotifyType.UseAssignedHoA]: {
    any: refused('it wants a Mobile IPv6 home address; choose a site-to-site connection at the peer'),
  },
  [NotifyType.TemporaryFailure]: { any: AGAIN_LATER },
  [NotifyType.ChildSaNotFound]: {
    any: says('does not have this CHILD_SA any more', 'a new one replaces it'),
  },
  [NotifyType.InvalidGroupId]: { any: refused(GROUP_KEYS) },
  [NotifyType.AuthorizationFailed]: { any: refused(`we are no member of its group; ${GROUP_KEYS}`) },
  [NotifyType.StateNotFound]: {
    any: says('lost its place in a rekey with several key exchanges', 'the rekey begins anew'),
  },
  [NotifyType.TsMaxQueue]: {
    any: refused(
      'it takes no further CHILD_SA for the same selectors, and one is enough; allow a second one during rekeys',
    ),
  },
};

/** A type that no table can explain; RFC 7296 §3.10.1 leaves 8192 to 16383 to vendors. */
const unknown = (notifyType: number): Explanation =>
  refused(
    notifyType >= 8192
      ? `a type of its vendor's own; look up error ${notifyType} in the vendor's documentation and in the log of the peer`
      : `an error type that is not known here; its log has the reason`,
  );
