import type { DhGroup, KeyExchange } from '../../crypto/types.ts';
import { equalBytes, Reader, Writer } from '../../lib/bytes.ts';
import type { Endpoint } from '../../lib/esp-sa.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { deriveSkKeys, skeyseed } from '../keymat.ts';
import { detectNat, natDetectionNotifies, sightingOf } from '../nat-detection.ts';
import {
  acceptedIke,
  answerIke,
  describeGroup,
  describeMismatch,
  describeOffer,
  offerIke,
  selectIke,
} from '../proposal.ts';
import { explainRefusal } from '../refusals.ts';
import { isZeroIkeSpi, ZERO_IKE_SPI } from '../spi.ts';
import { classic, describeIkeSuite } from '../suites.ts';
import { RETRANSMIT_AFTER_MS } from '../timing.ts';
import type { IkeSuite } from '../types.ts';
import { ExchangeType, NotifyType, notifyName } from '../wire/iana.ts';
import { findErrorNotify, findNotify, findPayload, findUnsupportedCritical, type Payload } from '../wire/message.ts';
import { type NotifyPayload, notify } from '../wire/notify.ts';
import type { SaPayload } from '../wire/sa.ts';
import {
  type Exchange,
  type ExchangeContext,
  insistsOn,
  NONCE_LENGTH,
  type Outcome,
  type Reply,
  type SaInitResult,
} from './exchange.ts';
import { describeRedirect } from './redirect.ts';

/** A peer may ask for a cookie and for another group, in any order, and its cookie secret may roll over meanwhile. */
const MAX_RETRIES = 4;
const NO_INT_AUTH = new Uint8Array(0);
/** Complete answers to one request that are taken up; more than one comes only where somebody forges them. */
const MAX_ANSWERS = 5;
/** A peer that asks for a cookie has given no other answer; where the COOKIE is forged, the genuine answer comes meanwhile. */
const COOKIE_HOLD_MS = 250;

/**
 * IKE_SA_INIT as initiator, RFC 7296 §1.2. Nothing in the response is authenticated yet, so no response, however bad,
 * ends the attempt here: a forger must not be able to. What it says is kept as the likely reason. Of several complete
 * answers each may be the genuine one (§2.4): IKE_AUTH shows which.
 */
export class SaInit implements Exchange {
  readonly name = 'IKE_SA_INIT';
  readonly type = ExchangeType.IkeSaInit;
  readonly #context: ExchangeContext;
  readonly #spiI: Uint8Array;
  readonly #local: Endpoint;
  readonly #remote: Endpoint;
  readonly #ni: Uint8Array;
  readonly #waitsMs: readonly number[];
  /** One for each group asked with so far, so that a late answer to an earlier request still finds its own. */
  readonly #keyExchanges = new Map<number, KeyExchange>();
  /** What we asked before we asked with another group, or without hybrid suites. */
  readonly #superseded: Asked[] = [];
  readonly #answers: Uint8Array[] = [];
  #group: DhGroup;
  #suites: readonly IkeSuite[];
  /** The request that the last answer met; `undefined` when another one has gone out since. */
  #answered: Uint8Array | undefined;
  #cookie: Uint8Array | undefined;
  #retries = 0;

  /** `waitsMs`: between transmissions, as long as the peer has not answered at all. */
  constructor(
    context: ExchangeContext,
    spiI: Uint8Array,
    local: Endpoint,
    remote: Endpoint,
    waitsMs: readonly number[],
  ) {
    const { config, deps } = context;
    const [preferred] = config.ikeSuites;
    if (preferred === undefined) throw new RangeError('an initiator needs at least one IKE suite');
    this.#context = context;
    this.#spiI = spiI;
    this.#local = local;
    this.#remote = remote;
    this.#waitsMs = waitsMs;
    this.#ni = deps.random.bytes(NONCE_LENGTH);
    this.#group = preferred.dhGroup;
    this.#suites = config.ikeSuites;
  }

  get proposal(): string {
    return this.#suites.map(describeIkeSuite).join(', ');
  }

  get waitsMs(): readonly number[] {
    return this.#retries === 0 ? this.#waitsMs : RETRANSMIT_AFTER_MS;
  }

  request(): readonly Payload[] {
    const { config, deps } = this.#context;
    const { group, publicValue } = this.#keyExchange();
    this.#answered = undefined;
    const spis = { spiI: this.#spiI, spiR: ZERO_IKE_SPI };
    return [
      ...(this.#cookie === undefined ? [] : [notify(NotifyType.Cookie, this.#cookie)]), // first, RFC 7296 §2.6
      offerIke(this.#suites),
      { kind: 'ke', dhGroup: group, publicValue },
      { kind: 'nonce', nonce: this.#ni },
      ...natDetectionNotifies(deps.crypto, spis, this.#local, this.#remote, config.encapsulation),
      notify(NotifyType.Ikev2FragmentationSupported),
      ...(this.#isHybrid ? [notify(NotifyType.IntermediateExchangeSupported)] : []),
    ];
  }

  onResponse(reply: Reply): Outcome {
    const { payloads, requestBytes } = reply;
    this.#answered = requestBytes;
    const cookie = findNotify(payloads, NotifyType.Cookie);
    if (cookie !== undefined) return this.#onCookie(cookie);
    const wrongGroup = findNotify(payloads, NotifyType.InvalidKePayload);
    if (wrongGroup !== undefined) return this.#onInvalidKe(wrongGroup, requestBytes);
    const error = findErrorNotify(payloads);
    if (error !== undefined) return this.#onError(error, requestBytes);
    const redirect = describeRedirect(this.#context.peer, payloads);
    if (redirect !== undefined && findPayload(payloads, 'sa') === undefined) return this.#suspect(redirect);
    const init = this.#complete(reply);
    return init.ok ? { kind: 'keyed', init: init.value } : this.#suspect(init.error);
  }

  /** Another complete answer to the request that `onResponse` saw answered; `undefined` for anything else. */
  onFurtherResponse(reply: Omit<CompleteReply, 'requestBytes'>): SaInitResult | undefined {
    const requestBytes = this.#answered;
    const known = this.#answers.some((answer) => equalBytes(answer, reply.responseBytes));
    if (requestBytes === undefined || known || this.#answers.length >= MAX_ANSWERS) return undefined;
    const init = this.#complete({ ...reply, requestBytes });
    return init.ok ? init.value : undefined;
  }

  onUnusable(reason: string): Outcome {
    return this.#suspect(reason);
  }

  silence(): string {
    const { peer } = this.#context;
    const { port } = this.#remote;
    return (
      `no answer from ${peer} to IKE_SA_INIT on UDP port ${port}: ` +
      `check the address, that UDP 500 and 4500 pass in both directions, and that the peer speaks IKEv2 and knows our public address`
    );
  }

  #onCookie({ data }: NotifyPayload): Outcome {
    // RFC 7296 §2.6: 1 to 64 octets.
    if (data.length < 1 || data.length > 64)
      return this.#suspect(`${this.#context.peer} sent a COOKIE of ${data.length} octets; expected 1 to 64`);
    this.#cookie = data.slice();
    return this.#retry('the peer asked for its cookie', COOKIE_HOLD_MS);
  }

  #onInvalidKe(wrongGroup: NotifyPayload, requestBytes: Uint8Array): Outcome {
    const { peer } = this.#context;
    const { data } = wrongGroup;
    const wanted = data.length === 2 ? new Reader(data).u16() : 0;
    const offered = this.#suites.map((suite) => suite.dhGroup);
    const group = offered.find((candidate) => candidate === wanted);
    if (group === undefined || group === this.#group) {
      const ours = [...new Set(offered)].map(describeGroup).join(', ');
      return this.#suspect(explainRefusal(wrongGroup, { peer, step: 'sa-init', offered: ours }));
    }
    this.#supersede(requestBytes);
    this.#group = group;
    return this.#retry(`the peer wants Diffie-Hellman group ${describeGroup(group)}`, 0);
  }

  /** A peer that cannot stand the hybrid offer is asked without it at once; a better answer to the first offer still counts. */
  #onError(error: NotifyPayload, requestBytes: Uint8Array): Outcome {
    const { peer } = this.#context;
    const { notifyType } = error;
    const aboutOffer = notifyType === NotifyType.NoProposalChosen || notifyType === NotifyType.InvalidSyntax;
    const rest = classic(this.#suites);
    if (!aboutOffer || !this.#isHybrid || rest.length === 0)
      return this.#suspect(explainRefusal(error, { peer, step: 'sa-init', offered: this.proposal }));
    this.#supersede(requestBytes);
    this.#suites = rest;
    return this.#retry(
      `${peer} refused the offer with ML_KEM_768 (${notifyName(notifyType)}), so it is asked without; ` +
        'nothing proves that this refusal is its own: if it speaks RFC 9370, look for who else answered',
      0,
    );
  }

  #supersede(bytes: Uint8Array): void {
    this.#superseded.unshift({ group: this.#group, suites: this.#suites, bytes });
  }

  get #isHybrid(): boolean {
    return this.#suites.some(({ additionalKe }) => additionalKe !== undefined);
  }

  #keyExchange(): KeyExchange {
    const { crypto, random } = this.#context.deps;
    const keyExchange = this.#keyExchanges.get(this.#group) ?? crypto.keyExchange(this.#group, random);
    this.#keyExchanges.set(this.#group, keyExchange);
    return keyExchange;
  }

  #retry(reason: string, holdMs: number): Outcome {
    if (this.#retries++ < MAX_RETRIES) return { kind: 'retry', reason, holdMs };
    return this.#suspect(
      `${this.#context.peer} refused IKE_SA_INIT ${MAX_RETRIES + 1} times; the last time, ${reason}`,
    );
  }

  #suspect(reason: string): Outcome {
    return { kind: 'suspicion', reason };
  }

  /** Which of our requests this answers: the last one, unless only an earlier one had such an offer. */
  #askedFor(sa: SaPayload, group: number, bytes: Uint8Array): Asked {
    const last = { group: this.#group, suites: this.#suites, bytes };
    const fits = (asked: Asked): boolean => asked.group === group && acceptedIke(asked.suites, sa).ok;
    return [last, ...this.#superseded].find(fits) ?? last;
  }

  #complete({ spiR, payloads, requestBytes, responseBytes, local, from }: CompleteReply): Result<SaInitResult, string> {
    const { deps, peer } = this.#context;
    const sa = findPayload(payloads, 'sa');
    const ke = findPayload(payloads, 'ke');
    const nonce = findPayload(payloads, 'nonce');
    const critical = findUnsupportedCritical(payloads);
    if (critical !== undefined) return err(insistsOn(peer, critical.type));
    if (sa === undefined || ke === undefined || nonce === undefined || isZeroIkeSpi(spiR))
      return err(`${peer} answered IKE_SA_INIT without an SPI or one of SA, KE, Nonce`);
    const asked = this.#askedFor(sa, ke.dhGroup, requestBytes);
    const accepted = acceptedIke(asked.suites, sa);
    if (!accepted.ok) return accepted;
    const { suite } = accepted.value;
    if (suite.additionalKe !== undefined && !hasIntermediate(payloads))
      return err(`${peer} chose ${describeIkeSuite(suite)} without support for IKE_INTERMEDIATE, which it needs`);
    const keyExchange = this.#keyExchanges.get(ke.dhGroup);
    if (suite.dhGroup !== ke.dhGroup || keyExchange === undefined)
      return err(`${peer} chose ${describeIkeSuite(suite)} but sent a KE for ${describeGroup(ke.dhGroup)}`);
    const gir = keyExchange.agree(ke.publicValue);
    if (!gir.ok) return err(`${peer} sent an invalid public value for ${describeGroup(ke.dhGroup)}`);
    const answer = responseBytes.slice();
    this.#answers.push(answer);
    const spis = { spiI: this.#spiI, spiR: spiR.slice() };
    const nonces = { ni: this.#ni, nr: nonce.nonce.slice() };
    const seed = skeyseed(deps.crypto, suite, nonces, gir.value);
    const nat = detectNat(deps.crypto, spis, local, from, payloads);
    return ok({
      ...spis,
      suite,
      nonces,
      keys: deriveSkKeys(deps.crypto, suite, seed, nonces, spis.spiI, spis.spiR),
      requestBytes: asked.bytes,
      responseBytes: answer,
      intAuth: NO_INT_AUTH,
      nat,
      sighting: sightingOf(spis, local, nat, payloads),
      fragmentation: takesFragments(payloads),
    });
  }
}

/** One of our requests: what it offered, and its octets. */
interface Asked {
  readonly group: DhGroup;
  readonly suites: readonly IkeSuite[];
  readonly bytes: Uint8Array;
}

type CompleteReply = Omit<Reply, 'protectedRequest' | 'protectedResponse'>;

/** A peer's IKE_SA_INIT request. Octets are views: copy to keep. */
export interface SaInitRequest {
  readonly spiI: Uint8Array;
  readonly payloads: readonly Payload[];
  readonly requestBytes: Uint8Array;
  readonly local: Endpoint;
  readonly from: Endpoint;
}

/** What a responder answers; `complete` waits for the octets of the response, because AUTH signs them. */
export type SaInitAnswer =
  | {
      readonly kind: 'refused';
      readonly payloads: readonly Payload[];
      readonly reason: string;
      /** Set when the peer's offer was at fault. */
      readonly acceptable?: SaPayload;
    }
  | {
      readonly kind: 'accepted';
      readonly payloads: readonly Payload[];
      readonly suite: IkeSuite;
      complete(responseBytes: Uint8Array): SaInitResult;
    };

/** IKE_SA_INIT as responder, RFC 7296 §1.2. Costs one Diffie-Hellman: the caller bounds how often it is asked. */
export function answerSaInit(context: ExchangeContext, spiR: Uint8Array, request: SaInitRequest): SaInitAnswer {
  const { config, deps, peer } = context;
  const { payloads, local, from } = request;
  const critical = findUnsupportedCritical(payloads);
  if (critical !== undefined)
    return refused(
      notify(NotifyType.UnsupportedCriticalPayload, Uint8Array.of(critical.type)),
      insistsOn(peer, critical.type),
    );
  const sa = findPayload(payloads, 'sa');
  const ke = findPayload(payloads, 'ke');
  const nonce = findPayload(payloads, 'nonce');
  if (sa === undefined || ke === undefined || nonce === undefined)
    return refused(notify(NotifyType.InvalidSyntax), `${peer} left SA, KE or Nonce out of IKE_SA_INIT`);
  // RFC 9370 §2.2.1: what needs IKE_INTERMEDIATE is not for a peer that does not announce it.
  const selection = selectIke(hasIntermediate(payloads) ? config.ikeSuites : classic(config.ikeSuites), sa);
  if (selection === undefined) {
    const ours = config.ikeSuites.map(describeIkeSuite).join(', ');
    const acceptable = offerIke(config.ikeSuites);
    const reason =
      `${peer} offered ${describeOffer(sa)}; we accept ${ours}: set the same phase 1 suite at both ends` +
      describeMismatch(acceptable, sa);
    return { kind: 'refused', payloads: [notify(NotifyType.NoProposalChosen)], reason, acceptable };
  }
  const { suite } = selection;
  if (ke.dhGroup !== suite.dhGroup) return wrongGroup(suite.dhGroup, ke.dhGroup);
  const keyExchange = deps.crypto.keyExchange(suite.dhGroup, deps.random);
  const gir = keyExchange.agree(ke.publicValue);
  if (!gir.ok)
    return refused(
      notify(NotifyType.InvalidSyntax),
      `${peer} sent an invalid public value for ${describeGroup(ke.dhGroup)}`,
    );

  const spis = { spiI: request.spiI.slice(), spiR };
  const nonces = { ni: nonce.nonce.slice(), nr: deps.random.bytes(NONCE_LENGTH) };
  const keys = deriveSkKeys(
    deps.crypto,
    suite,
    skeyseed(deps.crypto, suite, nonces, gir.value),
    nonces,
    spis.spiI,
    spiR,
  );
  // The request was hashed before our SPI existed.
  const nat = detectNat(deps.crypto, { ...spis, spiR: ZERO_IKE_SPI }, local, from, payloads);
  const fragmentation = takesFragments(payloads);
  const requestBytes = request.requestBytes.slice();
  const init = { ...spis, suite, keys, nonces, requestBytes, intAuth: NO_INT_AUTH, nat, fragmentation };
  return {
    kind: 'accepted',
    suite,
    payloads: [
      answerIke(selection),
      { kind: 'ke', dhGroup: suite.dhGroup, publicValue: keyExchange.publicValue },
      { kind: 'nonce', nonce: nonces.nr },
      ...natDetectionNotifies(deps.crypto, spis, local, from, config.encapsulation),
      ...(fragmentation ? [notify(NotifyType.Ikev2FragmentationSupported)] : []),
      ...(suite.additionalKe === undefined ? [] : [notify(NotifyType.IntermediateExchangeSupported)]),
    ],
    complete: (responseBytes) => ({ ...init, responseBytes }),
  };
}

const takesFragments = (payloads: readonly Payload[]): boolean =>
  findNotify(payloads, NotifyType.Ikev2FragmentationSupported) !== undefined;

const hasIntermediate = (payloads: readonly Payload[]): boolean =>
  findNotify(payloads, NotifyType.IntermediateExchangeSupported) !== undefined;

function wrongGroup(wanted: DhGroup, got: number): SaInitAnswer {
  return refused(
    notify(NotifyType.InvalidKePayload, new Writer(2).u16(wanted).finish()),
    `the peer sent a KE for ${describeGroup(got)}; asked it for ${describeGroup(wanted)}`,
  );
}

function refused(reply: Payload, reason: string): SaInitAnswer {
  return { kind: 'refused', payloads: [reply], reason };
}
