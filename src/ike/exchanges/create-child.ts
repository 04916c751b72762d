import type { KeyExchange } from '../../crypto/types.ts';
import { Reader, Writer } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { ANY_TO_ANY, type ChildTerms, coversAny, describeSelectors } from '../child-sa.ts';
import { childKeys, type Nonces } from '../keymat.ts';
import {
  acceptedEspPfs,
  answerEspPfs,
  describeGroup,
  describeMismatch,
  describeOffer,
  offerEspPfs,
  selectEspPfs,
} from '../proposal.ts';
import { explainRefusal } from '../refusals.ts';
import { decodeEspSpi, encodeEspSpi, newEspSpi } from '../spi.ts';
import { classic, describeEspPfs, preferHybridEsp } from '../suites.ts';
import type { EspSuite, IkeConfig } from '../types.ts';
import { ExchangeType, NotifyType, ProtocolId } from '../wire/iana.ts';
import { findErrorNotify, findNotify, findPayload, type Payload } from '../wire/message.ts';
import { type NotifyPayload, notify } from '../wire/notify.ts';
import {
  type Answer,
  type Exchange,
  type ExchangeContext,
  type IkeTerms,
  NONCE_LENGTH,
  type Outcome,
  type Refusal,
  type Reply,
} from './exchange.ts';
import { awaitFollowup, goOn } from './followup-ke.ts';
import { broken, declined, refusalCause } from './replies.ts';

/** CREATE_CHILD_SA for a CHILD_SA, as initiator: a new one, or one that replaces another (RFC 7296 §1.3.1, §1.3.3). */
export class CreateChild implements Exchange {
  readonly name = 'CREATE_CHILD_SA';
  readonly type = ExchangeType.CreateChildSa;
  /** Our inbound SPI of the CHILD_SA that this one replaces. */
  readonly replaces: number | undefined;
  readonly #context: ExchangeContext;
  readonly #ike: IkeTerms;
  /** Hybrid ones only inside a hybrid IKE SA: a peer without them need not be asked at every rekey. */
  readonly #suites: readonly EspSuite[];
  readonly #spiIn: number;
  readonly #ni: Uint8Array;
  #keyExchange: KeyExchange | undefined;
  #retried = false;

  constructor(context: ExchangeContext, ike: IkeTerms, replaces: number | undefined) {
    const { config, deps } = context;
    this.#context = context;
    this.#ike = ike;
    this.replaces = replaces;
    this.#spiIn = newEspSpi(deps.random);
    this.#ni = deps.random.bytes(NONCE_LENGTH);
    this.#suites = ike.suite.additionalKe === undefined ? classic(config.espSuites) : config.espSuites;
    const group = this.#suites[0]?.pfsGroup ?? 'none';
    this.#keyExchange = group === 'none' ? undefined : deps.crypto.keyExchange(group, deps.random);
  }

  get proposal(): string {
    const { esn } = this.#context.config;
    return this.#suites.map((suite) => describeEspPfs(suite, esn)).join(', ');
  }

  request(): readonly Payload[] {
    const { replaces } = this;
    const { esn } = this.#context.config;
    const ke = this.#keyExchange;
    return [
      ...(replaces === undefined ? [] : [aboutChild(NotifyType.RekeySa, replaces)]),
      offerEspPfs(this.#suites, encodeEspSpi(this.#spiIn), esn),
      { kind: 'nonce', nonce: this.#ni },
      ...(ke === undefined ? [] : [{ kind: 'ke', dhGroup: ke.group, publicValue: ke.publicValue } as const]),
      // The whole of IPv4 again, even where the peer narrowed it before: some peers expect the original selectors.
      { kind: 'ts-initiator', selectors: ANY_TO_ANY },
      { kind: 'ts-responder', selectors: ANY_TO_ANY },
    ];
  }

  onResponse({ payloads }: Reply): Outcome {
    const wrongGroup = findNotify(payloads, NotifyType.InvalidKePayload);
    if (wrongGroup !== undefined) return this.#onInvalidKe(wrongGroup);
    const error = findErrorNotify(payloads);
    if (error !== undefined) return this.#refused(refusalCause(error.notifyType), this.#explain(error));
    const child = this.#complete(payloads);
    return child.ok ? child.value : this.#refused('refused', child.error);
  }

  onUnusable(reason: string): Outcome {
    return this.#refused('refused', reason);
  }

  silence(): string {
    return `${this.#context.peer} is dead: it did not answer ${this.replaces === undefined ? 'a request for a' : 'the rekey of the'} CHILD_SA`;
  }

  #refused(cause: Refusal, reason: string): Outcome {
    return { kind: 'child-refused', cause, replaces: this.replaces, reason };
  }

  #onInvalidKe(wrongGroup: NotifyPayload): Outcome {
    const { deps } = this.#context;
    const { data } = wrongGroup;
    const wanted = data.length === 2 ? new Reader(data).u16() : 0;
    const group = this.#suites.map((suite) => suite.pfsGroup).find((offered) => offered === wanted);
    if (group === undefined || group === 'none' || this.#retried)
      return this.#refused('refused', this.#explain(wrongGroup));
    this.#retried = true;
    this.#keyExchange = deps.crypto.keyExchange(group, deps.random);
    return { kind: 'retry', reason: `the peer wants PFS group ${describeGroup(group)}` };
  }

  #explain(error: NotifyPayload): string {
    const { peer } = this.#context;
    const step = this.replaces === undefined ? 'new-child' : 'child-rekey';
    return explainRefusal(error, { peer, step, offered: this.proposal });
  }

  #complete(payloads: readonly Payload[]): Result<Outcome, string> {
    const { config, deps, peer } = this.#context;
    const sa = findPayload(payloads, 'sa');
    const nonce = findPayload(payloads, 'nonce');
    const tsi = findPayload(payloads, 'ts-initiator');
    const tsr = findPayload(payloads, 'ts-responder');
    if (sa === undefined || nonce === undefined || tsi === undefined || tsr === undefined)
      return err(`${peer} answered CREATE_CHILD_SA without one of SA, Nonce, TSi, TSr and without an error`);
    const accepted = acceptedEspPfs(this.#suites, sa, config.esn);
    if (!accepted.ok) return accepted;
    const { suite } = accepted.value;
    const spiOut = decodeEspSpi(accepted.value.peerSpi);
    if (spiOut === undefined) return err(`${peer} chose an invalid ESP SPI; expected four octets, 256 or more`);
    const gir = this.#agree(suite, payloads);
    if (!gir.ok) return gir;
    const nonces: Nonces = { ni: this.#ni, nr: nonce.nonce.slice() };
    const narrowed = !coversAny(tsi.selectors) || !coversAny(tsr.selectors);
    const remark = narrowed
      ? `${peer} narrowed the traffic selectors to ${describeSelectors(tsi.selectors)} === ${describeSelectors(tsr.selectors)}; ` +
        'what lies outside may be dropped: set any-to-any selectors at the peer'
      : '';
    const { replaces } = this;
    const finish = (additional?: Uint8Array): Outcome => {
      const keys = childKeys(deps.crypto, this.#ike.suite, this.#ike.keys.d, suite, nonces, gir.value, additional);
      const { fromResponder: keysIn, fromInitiator: keysOut } = keys;
      const terms: ChildTerms = { suite, spiIn: this.#spiIn, spiOut, keysIn, keysOut };
      return { kind: 'child-created', terms, nonces, replaces, remark };
    };
    if (suite.additionalKe === undefined) return ok(finish());
    const refuse = (cause: Refusal, reason: string): Outcome => this.#refused(cause, reason);
    const proposal = describeEspPfs(suite, suite.esn);
    return goOn(this.#context, { of: 'child', replaces, nonces, proposal, finish, refuse }, payloads);
  }

  /** The shared secret of the chosen suite, or nothing where the suite has no PFS. */
  #agree({ pfsGroup }: EspSuite, payloads: readonly Payload[]): Result<Uint8Array | undefined, string> {
    const { peer } = this.#context;
    if (pfsGroup === 'none') return ok(undefined);
    const ke = findPayload(payloads, 'ke');
    if (ke === undefined || ke.dhGroup !== pfsGroup || this.#keyExchange?.group !== pfsGroup)
      return err(
        `${peer} chose PFS group ${describeGroup(pfsGroup)} but sent ${ke === undefined ? 'no KE' : `a KE for ${describeGroup(ke.dhGroup)}`}`,
      );
    const gir = this.#keyExchange.agree(ke.publicValue);
    return gir.ok ? gir : err(`${peer} sent an invalid public value for ${describeGroup(pfsGroup)}`);
  }
}

/** What the IKE SA knows about the CHILD_SA that the peer wants to replace. */
export type ReplacedChild =
  | { readonly kind: 'found'; readonly spiIn: number }
  /** `going`: we are about to delete it, or the peer replaced it already. `unsure`: it may be one that we are asking for. */
  | { readonly kind: 'going' | 'unsure' | 'unknown' };

/** Answers a peer that wants a CHILD_SA, or wants to replace the one that it receives on with `spi` of its REKEY_SA. */
export function answerCreateChild(
  context: ExchangeContext,
  ike: IkeTerms,
  find: (spiOut: number) => ReplacedChild,
  payloads: readonly Payload[],
): Answer {
  const rekey = findNotify(payloads, NotifyType.RekeySa);
  if (rekey === undefined) return answerChild(context, ike, undefined, payloads);
  const spiOut = rekey.protocolId === ProtocolId.Esp ? decodeEspSpi(rekey.spi) : undefined;
  const replaced: ReplacedChild = spiOut === undefined ? { kind: 'unknown' } : find(spiOut);
  const { peer } = context;
  switch (replaced.kind) {
    case 'found':
      return answerChild(context, ike, replaced.spiIn, payloads);
    case 'going':
      return declined(notify(NotifyType.TemporaryFailure), `${peer} wants to rekey a CHILD_SA that is being replaced`);
    case 'unsure':
      return declined(
        notify(NotifyType.TemporaryFailure),
        `${peer} wants to rekey a CHILD_SA that we do not know, or not yet`,
      );
    case 'unknown': {
      const { protocolId, spi } = rekey;
      const reply = { ...notify(NotifyType.ChildSaNotFound), protocolId, spi: spi.slice() };
      return declined(reply, `${peer} wants to rekey a CHILD_SA that does not exist here`);
    }
  }
}

function answerChild(
  context: ExchangeContext,
  ike: IkeTerms,
  replaces: number | undefined,
  payloads: readonly Payload[],
): Answer {
  const { config, deps, peer } = context;
  const sa = findPayload(payloads, 'sa');
  const nonce = findPayload(payloads, 'nonce');
  const tsi = findPayload(payloads, 'ts-initiator');
  const tsr = findPayload(payloads, 'ts-responder');
  if (sa === undefined || nonce === undefined || tsi === undefined || tsr === undefined)
    return broken(`${peer} left SA, Nonce, TSi or TSr out of CREATE_CHILD_SA`);
  const selection = selectEspPfs(acceptableSuites(config), sa, config.esn);
  const spiOut = selection === undefined ? undefined : decodeEspSpi(selection.peerSpi);
  if (selection === undefined || spiOut === undefined) {
    const ours = acceptableSuites(config)
      .map((suite) => describeEspPfs(suite, config.esn))
      .join(', ');
    const reason = `${peer} offered ${describeOffer(sa)} for a CHILD_SA; we accept ${ours}: set the same phase 2 suite and PFS group at both ends`;
    const acceptable = offerEspPfs(acceptableSuites(config), NO_SPI, config.esn);
    const difference = describeMismatch(acceptable, sa);
    return declined(notify(NotifyType.NoProposalChosen), `${reason}${difference}`, acceptable);
  }
  // A new tunnel must carry everything; the rekey of one that works is not broken off for selectors.
  const wide = coversAny(tsi.selectors) && coversAny(tsr.selectors);
  const offered = `${describeSelectors(tsi.selectors)} === ${describeSelectors(tsr.selectors)}`;
  if (!wide && replaces === undefined)
    return declined(notify(NotifyType.TsUnacceptable), `${peer} asked for a CHILD_SA for ${offered} only`);

  const { suite } = selection;
  const ke = findPayload(payloads, 'ke');
  const keyExchange = suite.pfsGroup === 'none' ? undefined : deps.crypto.keyExchange(suite.pfsGroup, deps.random);
  if (keyExchange !== undefined && ke?.dhGroup !== keyExchange.group) {
    const reply = notify(NotifyType.InvalidKePayload, new Writer(2).u16(keyExchange.group).finish());
    return declined(reply, `${peer} sent a KE for another PFS group; asked it for ${describeGroup(keyExchange.group)}`);
  }
  const gir = keyExchange === undefined || ke === undefined ? undefined : keyExchange.agree(ke.publicValue);
  if (gir?.ok === false) return broken(`${peer} sent an invalid public value for PFS`);

  const nonces: Nonces = { ni: nonce.nonce.slice(), nr: deps.random.bytes(NONCE_LENGTH) };
  const spiIn = newEspSpi(deps.random);
  const proposal = describeEspPfs(suite, suite.esn);
  const remark = wide
    ? ''
    : `${peer} narrowed the traffic selectors to ${offered}: set any-to-any selectors at the peer`;
  const finish = (additional?: Uint8Array): Outcome => {
    const keys = childKeys(deps.crypto, ike.suite, ike.keys.d, suite, nonces, gir?.value, additional);
    const { fromInitiator: keysIn, fromResponder: keysOut } = keys;
    return { kind: 'child-created', terms: { suite, spiIn, spiOut, keysIn, keysOut }, nonces, replaces, remark };
  };
  const { toGoOn, outcome } =
    suite.additionalKe === undefined
      ? { toGoOn: [], outcome: finish() }
      : awaitFollowup(context, { of: 'child', replaces, nonces, proposal, finish });
  return {
    proposal,
    payloads: [
      answerEspPfs(selection, encodeEspSpi(spiIn)),
      { kind: 'nonce', nonce: nonces.nr },
      ...(keyExchange === undefined
        ? []
        : [{ kind: 'ke', dhGroup: keyExchange.group, publicValue: keyExchange.publicValue } as const]),
      { kind: 'ts-initiator', selectors: wide ? ANY_TO_ANY : tsi.selectors },
      { kind: 'ts-responder', selectors: wide ? ANY_TO_ANY : tsr.selectors },
      ...toGoOn,
    ],
    outcome,
  };
}

const NO_SPI = new Uint8Array(0);

const SAFE_GROUPS = [20, 19, 14, 24] as const;

/** Our suites as they are, then each cipher of ours with every other group that policy accepts from a peer. */
function acceptableSuites({ espSuites, acceptPfsGroups = SAFE_GROUPS }: IkeConfig): EspSuite[] {
  const ciphers = [...new Set(espSuites.map(({ encryption }) => encryption))];
  const others = ciphers.flatMap((encryption) => acceptPfsGroups.map((pfsGroup) => ({ encryption, pfsGroup })));
  const isHybrid = espSuites.some(({ additionalKe }) => additionalKe !== undefined);
  return [...espSuites, ...(isHybrid ? preferHybridEsp(others) : others)];
}

/** A notify about the CHILD_SA that we receive on with `spiIn`. */
function aboutChild(notifyType: number, spiIn: number): NotifyPayload {
  return { ...notify(notifyType), protocolId: ProtocolId.Esp, spi: encodeEspSpi(spiIn) };
}
