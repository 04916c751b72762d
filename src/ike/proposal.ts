import type { DhGroup } from '../crypto/types.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { describeDifference } from './difference.ts';
import {
  additionalKeOf,
  DH_GROUP_NAMES,
  describeEspPfs,
  describeEspSuite,
  describeIkeSuite,
  encryptionOf,
  hashOf,
} from './suites.ts';
import type { ChildSuite, EsnPolicy, EspSuite, IkeSuite } from './types.ts';
import {
  EncryptionId,
  EsnId,
  IntegrityId,
  isAdditionalKe,
  KEY_LENGTH_ATTRIBUTE,
  KeyExchangeMethod,
  PrfId,
  ProtocolId,
  TransformType,
} from './wire/iana.ts';
import type { Proposal, SaPayload, Transform } from './wire/sa.ts';

const NO_SPI = new Uint8Array(0);

/** An IKE offer: one proposal per suite, most wanted first, so that the answer names a whole suite (RFC 7296 §3.3). */
export function offerIke(suites: readonly IkeSuite[], spi: Uint8Array = NO_SPI): SaPayload {
  return offer(suites.map(ikeTransforms), ProtocolId.Ike, spi);
}

/**
 * An ESP offer for IKE_AUTH: no group, because the first CHILD_SA takes its keys from IKE_SA_INIT (RFC 7296 §1.2). Where
 * either kind of sequence numbers will do, each proposal names both, and the answer one of them (RFC 7296 §3.3.2).
 */
export function offerEsp(suites: readonly EspSuite[], spi: Uint8Array, esn?: EsnPolicy): SaPayload {
  const transforms = distinctEsp(suites).map((suite) => [...espTransforms(suite), ...esnTransforms(esn)]);
  return offer(transforms, ProtocolId.Esp, spi);
}

/** An ESP offer for CREATE_CHILD_SA: each suite with its PFS group (RFC 7296 §1.3.1). */
export function offerEspPfs(suites: readonly EspSuite[], spi: Uint8Array, esn?: EsnPolicy): SaPayload {
  const transforms = suites.map((suite) => [...espPfsTransforms(suite), ...esnTransforms(esn)]);
  return offer(transforms, ProtocolId.Esp, spi);
}

/** A responder's pick: the suite and the SA payload that says so. */
export interface Selection<Suite> {
  readonly suite: Suite;
  readonly number: number;
  /** The peer's SPI in the proposal; empty in IKE_SA_INIT. */
  readonly peerSpi: Uint8Array;
  /** Additional key exchanges of the proposal that could be declined and were: the answer says so (RFC 9370 §2.2.1). */
  readonly declined: readonly Transform[];
}

/** As responder: our order of preference decides among what the peer offers. */
export function selectIke(suites: readonly IkeSuite[], offered: SaPayload): Selection<IkeSuite> | undefined {
  return select(suites, ikeTransforms, ProtocolId.Ike, offered);
}

/** ESN where policy and peer allow it. */
export function selectEsp(
  suites: readonly EspSuite[],
  offered: SaPayload,
  esn?: EsnPolicy,
): Selection<ChildSuite> | undefined {
  const choices = distinctEsp(suites).flatMap((suite) => childSuites(suite, esn));
  return select(choices, childTransforms, ProtocolId.Esp, offered);
}

/** For CREATE_CHILD_SA: `suites` as they are, most wanted first. */
export function selectEspPfs(
  suites: readonly EspSuite[],
  offered: SaPayload,
  esn?: EsnPolicy,
): Selection<ChildSuite> | undefined {
  const choices = suites.flatMap((suite) => childSuites(suite, esn));
  return select(choices, childPfsTransforms, ProtocolId.Esp, offered);
}

export const answerIke = (selection: Selection<IkeSuite>, spi: Uint8Array = NO_SPI): SaPayload =>
  answer(selection, ikeTransforms, ProtocolId.Ike, spi);

export const answerEsp = (selection: Selection<ChildSuite>, spi: Uint8Array): SaPayload =>
  answer(selection, childTransforms, ProtocolId.Esp, spi);

export const answerEspPfs = (selection: Selection<ChildSuite>, spi: Uint8Array): SaPayload =>
  answer(selection, childPfsTransforms, ProtocolId.Esp, spi);

/** As initiator: the answer must be exactly one proposal that we offered, number and all (RFC 7296 §3.3.6). */
export function acceptedIke(suites: readonly IkeSuite[], answer: SaPayload): Result<Selection<IkeSuite>, string> {
  const choices = suites.map((suite) => [suite]);
  return accepted(choices, ikeTransforms, suites.map(describeIkeSuite), ProtocolId.Ike, answer);
}

export function acceptedEsp(
  suites: readonly EspSuite[],
  answer: SaPayload,
  esn?: EsnPolicy,
): Result<Selection<ChildSuite>, string> {
  const offered = distinctEsp(suites);
  const choices = offered.map((suite) => childSuites(suite, esn));
  const words = offered.map((suite) => describeEspSuite(suite, esn));
  return accepted(choices, childTransforms, words, ProtocolId.Esp, answer);
}

export function acceptedEspPfs(
  suites: readonly EspSuite[],
  answer: SaPayload,
  esn?: EsnPolicy,
): Result<Selection<ChildSuite>, string> {
  const choices = suites.map((suite) => childSuites(suite, esn));
  const words = suites.map((suite) => describeEspPfs(suite, esn));
  return accepted(choices, childPfsTransforms, words, ProtocolId.Esp, answer);
}

/** Transforms in words, `/` between types and `+` between alternatives; unknown numbers as `<type>:<id>`. */
function describeProposal({ transforms }: Proposal): string {
  const byType = new Map<number, string[]>();
  for (const transform of transforms) {
    const names = byType.get(transform.type) ?? [];
    byType.set(transform.type, [...names, describeTransform(transform)]);
  }
  return [...byType.values()].map((names) => names.join('+')).join('/');
}

/** A peer may offer thousands of transforms, and a text is kept in the history. */
const MAX_OFFER_TEXT = 600;

export function describeOffer(sa: SaPayload): string {
  const text = sa.proposals.map(describeProposal).join(', ');
  return text.length <= MAX_OFFER_TEXT ? text : `${text.slice(0, MAX_OFFER_TEXT)}…`;
}

/** Beside a refusal: ` (here vs there: encryption AES_CBC_256 vs AES_CBC_128)`, or nothing. */
export function describeMismatch(ours: SaPayload, theirs: SaPayload): string {
  return mismatch(transformsIn(ours), transformsIn(theirs));
}

const transformsIn = ({ proposals }: SaPayload): Transform[][] =>
  proposals.slice(0, MAX_COMPARED).map(({ transforms }) => transforms.slice(0, MAX_COMPARED).filter((t) => !isNone(t)));

/** Comparing each with each must stay cheap whatever a stranger offers. */
const MAX_COMPARED = 32;

function mismatch(ours: readonly (readonly Transform[])[], theirs: readonly (readonly Transform[])[]): string {
  const difference = describeDifference(ours, theirs, describeTransform);
  return difference === '' ? '' : ` (here vs there: ${difference})`;
}

function offer(choices: readonly (readonly Transform[])[], protocolId: number, spi: Uint8Array): SaPayload {
  return {
    kind: 'sa',
    proposals: choices.map((transforms, i) => ({ number: i + 1, protocolId, spi, transforms })),
  };
}

function answer<Suite>(
  { suite, number, declined }: Selection<Suite>,
  transformsOf: (suite: Suite) => readonly Transform[],
  protocolId: number,
  spi: Uint8Array,
): SaPayload {
  return { kind: 'sa', proposals: [{ number, protocolId, spi, transforms: [...transformsOf(suite), ...declined] }] };
}

function select<Suite>(
  suites: readonly Suite[],
  transformsOf: (suite: Suite) => readonly Transform[],
  protocolId: number,
  { proposals }: SaPayload,
): Selection<Suite> | undefined {
  for (const suite of suites) {
    const wanted = transformsOf(suite);
    const match = proposals.find((p) => p.protocolId === protocolId && offers(p.transforms, wanted));
    if (match === undefined) continue;
    const declined = match.transforms.filter((t) => isNone(t) && isAdditionalKe(t.type) && !holdsType(wanted, t.type));
    return { suite, number: match.number, peerSpi: match.spi.slice(), declined };
  }
  return undefined;
}

/** `choices`: of each proposal that we offered, in order, the suites that it allows; `words`: its name. */
function accepted<Suite>(
  choices: readonly (readonly Suite[])[],
  transformsOf: (suite: Suite) => readonly Transform[],
  words: readonly string[],
  protocolId: number,
  { proposals }: SaPayload,
): Result<Selection<Suite>, string> {
  const [chosen, ...others] = proposals;
  const offeredText = words.join(', ');
  if (chosen === undefined || others.length > 0)
    return err(`the peer answered with ${proposals.length} proposals; expected exactly one of ours: ${offeredText}`);
  const real = chosen.transforms.filter((t) => !isNone(t));
  const suite = choices[chosen.number - 1]?.find((choice) => {
    const wanted = transformsOf(choice);
    return real.length === wanted.length && offers(real, wanted);
  });
  if (suite === undefined || chosen.protocolId !== protocolId)
    return err(
      `the peer chose ${describeProposal(chosen)} (proposal ${chosen.number}), which we did not offer; we offered ${offeredText}` +
        mismatch(choices.flat().map(transformsOf), [real]),
    );
  return ok({ suite, number: chosen.number, peerSpi: chosen.spi.slice(), declined: [] });
}

/** Does the proposal hold every wanted transform, and nothing besides that we could not decline? */
function offers(offered: readonly Transform[], wanted: readonly Transform[]): boolean {
  const holdsAll = wanted.every((w) => offered.some((o) => sameTransform(o, w)));
  const noOtherType = offered.every(({ type }) => holdsType(wanted, type) || holdsType(offered.filter(isNone), type));
  return holdsAll && noOtherType;
}

const holdsType = (transforms: readonly Transform[], type: number): boolean => transforms.some((t) => t.type === type);

/** "None" says what leaving the type out says, RFC 7296 §3.3.6, RFC 9370 §2.2.1. */
const isNone = ({ type, id }: Transform): boolean =>
  id === 0 && (type === TransformType.Integrity || type === TransformType.DhGroup || isAdditionalKe(type));

/** A transform with an attribute that we do not know is a different transform, RFC 7296 §3.3.6. */
function sameTransform(a: Transform, b: Transform): boolean {
  return (
    a.type === b.type &&
    a.id === b.id &&
    a.attributes.length === b.attributes.length &&
    a.attributes.every((x, i) => x.type === b.attributes[i]?.type && x.value === b.attributes[i]?.value)
  );
}

function ikeTransforms(suite: IkeSuite): Transform[] {
  const { integrityId, prfId } = hashOf(suite);
  const integrity = encryptionOf(suite).aead ? [] : [transform(TransformType.Integrity, integrityId)];
  return [
    encryptionTransform(suite),
    ...integrity,
    transform(TransformType.Prf, prfId),
    transform(TransformType.DhGroup, suite.dhGroup),
    ...additionalKe(suite),
  ];
}

/** All but the sequence numbers. */
const espTransforms = (suite: EspSuite): Transform[] => [encryptionTransform(suite)];

function espPfsTransforms(suite: EspSuite): Transform[] {
  if (suite.pfsGroup === 'none') return espTransforms(suite);
  return [...espTransforms(suite), transform(TransformType.DhGroup, suite.pfsGroup), ...additionalKe(suite)];
}

function additionalKe(suite: IkeSuite | EspSuite): Transform[] {
  const row = additionalKeOf(suite);
  return row === undefined ? [] : [transform(TransformType.AdditionalKe1, row.method)];
}

const childTransforms = (suite: ChildSuite): Transform[] => [...espTransforms(suite), esnTransform(suite.esn)];
const childPfsTransforms = (suite: ChildSuite): Transform[] => [...espPfsTransforms(suite), esnTransform(suite.esn)];

/** The most wanted first. */
const ESN_CHOICES: Readonly<Record<EsnPolicy, readonly boolean[]>> = {
  offer: [true, false],
  require: [true],
  off: [false],
};

const childSuites = (suite: EspSuite, policy: EsnPolicy = 'offer'): ChildSuite[] =>
  ESN_CHOICES[policy].map((esn) => ({ ...suite, esn }));
const esnTransforms = (policy: EsnPolicy = 'offer'): Transform[] => ESN_CHOICES[policy].map(esnTransform);
const esnTransform = (esn: boolean): Transform => transform(TransformType.Esn, esn ? EsnId.Esn : EsnId.NoEsn);

function encryptionTransform(suite: IkeSuite | EspSuite): Transform {
  const { id, keyBits } = encryptionOf(suite);
  return { type: TransformType.Encryption, id, attributes: [{ type: KEY_LENGTH_ATTRIBUTE, value: keyBits }] };
}

function transform(type: number, id: number): Transform {
  return { type, id, attributes: [] };
}

/** Suites that differ in their PFS group alone look the same without a KE. */
function distinctEsp(suites: readonly EspSuite[]): EspSuite[] {
  return suites.filter((suite, i) => suites.findIndex((s) => s.encryption === suite.encryption) === i);
}

const TRANSFORM_NAMES: ReadonlyMap<string, string> = new Map([
  [`${TransformType.Encryption}:${EncryptionId.AesCbc}`, 'AES_CBC'],
  [`${TransformType.Encryption}:${EncryptionId.AesGcm16}`, 'AES_GCM_16'],
  [`${TransformType.Prf}:${PrfId.HmacSha2_256}`, 'PRF_HMAC_SHA2_256'],
  [`${TransformType.Prf}:${PrfId.HmacSha2_384}`, 'PRF_HMAC_SHA2_384'],
  [`${TransformType.Integrity}:${IntegrityId.HmacSha2_256_128}`, 'HMAC_SHA2_256_128'],
  [`${TransformType.Integrity}:${IntegrityId.HmacSha2_384_192}`, 'HMAC_SHA2_384_192'],
  [`${TransformType.Esn}:${EsnId.NoEsn}`, 'NO_ESN'],
  [`${TransformType.Esn}:${EsnId.Esn}`, 'ESN'],
]);

function describeTransform({ type, id, attributes }: Transform): string {
  const key = `${type}:${id}`;
  const isKeyExchange = type === TransformType.DhGroup || isAdditionalKe(type);
  const name = isKeyExchange ? describeGroup(id) : (TRANSFORM_NAMES.get(key) ?? key);
  const keyBits = attributes.find((a) => a.type === KEY_LENGTH_ATTRIBUTE)?.value;
  return typeof keyBits === 'number' ? `${name}_${keyBits}` : name;
}

/** `ECP_384` or `ML_KEM_768`, or `DH_<n>` for a key exchange method that we do not speak. */
export function describeGroup(group: number): string {
  if (group === KeyExchangeMethod.MlKem768) return 'ML_KEM_768';
  return isDhGroup(group) ? DH_GROUP_NAMES[group] : `DH_${group}`;
}

const isDhGroup = (group: number): group is DhGroup => group in DH_GROUP_NAMES;
