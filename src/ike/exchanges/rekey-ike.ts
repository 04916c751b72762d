import type { KeyExchange } from '../../crypto/types.ts';
import { Reader, Writer } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { deriveSkKeys, type Nonces, rekeySkeyseed } from '../keymat.ts';
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
import { isZeroIkeSpi, newIkeSpi } from '../spi.ts';
import { classic, describeIkeSuite } from '../suites.ts';
import type { IkeSuite } from '../types.ts';
import { ExchangeType, NotifyType } from '../wire/iana.ts';
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

const IKE_SPI_LENGTH = 8;

/** CREATE_CHILD_SA that replaces the IKE SA, as initiator: RFC 7296 §1.3.2, §2.18. */
export class RekeyIke implements Exchange {
  readonly name = 'CREATE_CHILD_SA';
  readonly type = ExchangeType.CreateChildSa;
  readonly #context: ExchangeContext;
  readonly #old: IkeTerms;
  readonly #suites: readonly IkeSuite[];
  readonly #spiI: Uint8Array;
  readonly #ni: Uint8Array;
  #keyExchange: KeyExchange;
  #retried = false;

  constructor(context: ExchangeContext, old: IkeTerms) {
    const { config, deps } = context;
    this.#context = context;
    this.#old = old;
    // What worked goes first; where hybrid suites did not, they are not asked for again.
    const suites = old.suite.additionalKe === undefined ? classic(config.ikeSuites) : config.ikeSuites;
    this.#suites = [old.suite, ...suites.filter((suite) => suite !== old.suite)];
    this.#spiI = newIkeSpi(deps.random);
    this.#ni = deps.random.bytes(NONCE_LENGTH);
    this.#keyExchange = deps.crypto.keyExchange(old.suite.dhGroup, deps.random);
  }

  get proposal(): string {
    return this.#suites.map(describeIkeSuite).join(', ');
  }

  request(): readonly Payload[] {
    const { group, publicValue } = this.#keyExchange;
    return [
      offerIke(this.#suites, this.#spiI),
      { kind: 'nonce', nonce: this.#ni },
      { kind: 'ke', dhGroup: group, publicValue },
    ];
  }

  onResponse({ payloads }: Reply): Outcome {
    const wrongGroup = findNotify(payloads, NotifyType.InvalidKePayload);
    if (wrongGroup !== undefined) return this.#onInvalidKe(wrongGroup);
    const error = findErrorNotify(payloads);
    if (error !== undefined)
      return {
        kind: 'ike-rekey-refused',
        cause: refusalCause(error.notifyType),
        reason: this.#explain(error),
      };
    const result = this.#complete(payloads);
    return result.ok ? result.value : this.onUnusable(result.error);
  }

  onUnusable(reason: string): Outcome {
    return { kind: 'ike-rekey-refused', cause: 'refused', reason };
  }

  silence(): string {
    return `${this.#context.peer} is dead: it did not answer the rekey of the IKE SA`;
  }

  #onInvalidKe(wrongGroup: NotifyPayload): Outcome {
    const { deps } = this.#context;
    const { data } = wrongGroup;
    const wanted = data.length === 2 ? new Reader(data).u16() : 0;
    const group = this.#suites.map((suite) => suite.dhGroup).find((offered) => offered === wanted);
    if (group === undefined || this.#retried) return this.onUnusable(this.#explain(wrongGroup));
    this.#retried = true;
    this.#keyExchange = deps.crypto.keyExchange(group, deps.random);
    return { kind: 'retry', reason: `the peer wants Diffie-Hellman group ${describeGroup(group)}` };
  }

  #explain(error: NotifyPayload): string {
    return explainRefusal(error, { peer: this.#context.peer, step: 'ike-rekey', offered: this.proposal });
  }

  #complete(payloads: readonly Payload[]): Result<Outcome, string> {
    const { deps, peer } = this.#context;
    const sa = findPayload(payloads, 'sa');
    const nonce = findPayload(payloads, 'nonce');
    const ke = findPayload(payloads, 'ke');
    if (sa === undefined || nonce === undefined || ke === undefined)
      return err(`${peer} answered the rekey of the IKE SA without one of SA, Nonce, KE and without an error`);
    const accepted = acceptedIke(this.#suites, sa);
    if (!accepted.ok) return accepted;
    const { suite, peerSpi: spiR } = accepted.value;
    if (!isIkeSpi(spiR)) return err(`${peer} chose an invalid IKE SPI; expected eight octets, not all zero`);
    if (suite.dhGroup !== ke.dhGroup || ke.dhGroup !== this.#keyExchange.group)
      return err(`${peer} chose ${describeIkeSuite(suite)} but sent a KE for ${describeGroup(ke.dhGroup)}`);
    const gir = this.#keyExchange.agree(ke.publicValue);
    if (!gir.ok) return err(`${peer} sent an invalid public value for ${describeGroup(ke.dhGroup)}`);
    const nonces: Nonces = { ni: this.#ni, nr: nonce.nonce.slice() };
    const secrets = { gir: gir.value, nonces, spiI: this.#spiI, spiR };
    const finish = (additional?: Uint8Array): Outcome => {
      const terms = successor(deps, this.#old, suite, { ...secrets, additional });
      return { kind: 'ike-rekeyed', terms, nonces };
    };
    if (suite.additionalKe === undefined) return ok(finish());
    const refuse = (cause: Refusal, reason: string): Outcome => ({ kind: 'ike-rekey-refused', cause, reason });
    const half = { of: 'ike', replaces: undefined, nonces, finish, refuse } as const;
    return goOn(this.#context, { ...half, proposal: describeIkeSuite(suite) }, payloads);
  }
}

/** Is this CREATE_CHILD_SA request about the IKE SA itself? */
export const asksForIkeRekey = (payloads: readonly Payload[]): boolean =>
  findPayload(payloads, 'sa')?.proposals.some(({ spi }) => spi.length === IKE_SPI_LENGTH) ?? false;

/** Answers a peer that replaces the IKE SA; it becomes the initiator of the new one. */
export function answerRekeyIke(context: ExchangeContext, old: IkeTerms, payloads: readonly Payload[]): Answer {
  const { config, deps, peer } = context;
  const sa = findPayload(payloads, 'sa');
  const nonce = findPayload(payloads, 'nonce');
  const ke = findPayload(payloads, 'ke');
  if (sa === undefined || nonce === undefined || ke === undefined)
    return broken(`${peer} left SA, Nonce or KE out of the rekey of the IKE SA`);
  const selection = selectIke(config.ikeSuites, sa);
  if (selection === undefined || !isIkeSpi(selection.peerSpi)) {
    const ours = config.ikeSuites.map(describeIkeSuite).join(', ');
    const reason = `${peer} offered ${describeOffer(sa)} for the rekey of the IKE SA; we accept ${ours}: set the same phase 1 suite at both ends`;
    const acceptable = offerIke(config.ikeSuites);
    const difference = describeMismatch(acceptable, sa);
    return declined(notify(NotifyType.NoProposalChosen), `${reason}${difference}`, acceptable);
  }
  const { suite, peerSpi: spiI } = selection;
  if (ke.dhGroup !== suite.dhGroup) {
    const reply = notify(NotifyType.InvalidKePayload, new Writer(2).u16(suite.dhGroup).finish());
    return declined(
      reply,
      `${peer} sent a KE for ${describeGroup(ke.dhGroup)}; asked it for ${describeGroup(suite.dhGroup)}`,
    );
  }
  const keyExchange = deps.crypto.keyExchange(suite.dhGroup, deps.random);
  const gir = keyExchange.agree(ke.publicValue);
  if (!gir.ok) return broken(`${peer} sent an invalid public value for ${describeGroup(ke.dhGroup)}`);
  const nonces: Nonces = { ni: nonce.nonce.slice(), nr: deps.random.bytes(NONCE_LENGTH) };
  const spiR = newIkeSpi(deps.random);
  const proposal = describeIkeSuite(suite);
  const finish = (additional?: Uint8Array): Outcome => {
    const terms = successor(deps, old, suite, { gir: gir.value, additional, nonces, spiI, spiR });
    return { kind: 'ike-rekeyed', terms, nonces };
  };
  const { toGoOn, outcome } =
    suite.additionalKe === undefined
      ? { toGoOn: [], outcome: finish() }
      : awaitFollowup(context, { of: 'ike', replaces: undefined, nonces, proposal, finish });
  return {
    proposal,
    payloads: [
      answerIke(selection, spiR),
      { kind: 'nonce', nonce: nonces.nr },
      { kind: 'ke', dhGroup: suite.dhGroup, publicValue: keyExchange.publicValue },
      ...toGoOn,
    ],
    outcome,
  };
}

/** What both ends of a rekey put into its keys. */
interface Agreed {
  readonly gir: Uint8Array;
  /** The secret of the additional key exchange, if there was one. */
  readonly additional: Uint8Array | undefined;
  readonly nonces: Nonces;
  readonly spiI: Uint8Array;
  readonly spiR: Uint8Array;
}

/** RFC 7296 §2.18: SKEYSEED with the old SA's PRF, the keys with the new one's. */
function successor(
  { crypto }: ExchangeContext['deps'],
  old: IkeTerms,
  suite: IkeSuite,
  { gir, additional, nonces, spiI, spiR }: Agreed,
): IkeTerms {
  const seed = rekeySkeyseed(crypto, old.suite, old.keys.d, nonces, gir, additional);
  const keys = deriveSkKeys(crypto, suite, seed, nonces, spiI, spiR);
  return { spiI, spiR, suite, keys, nat: old.nat, fragmentation: old.fragmentation };
}

const isIkeSpi = (spi: Uint8Array): boolean => spi.length === IKE_SPI_LENGTH && !isZeroIkeSpi(spi);
