import type { Result } from '../../lib/result.ts';
import { err, ok } from '../../lib/result.ts';
import { ANY_TO_ANY, type ChildTerms, coversAny, describeSelectors } from '../child-sa.ts';
import { describeId, idBody, sameId } from '../identity.ts';
import { childKeys, sharedKeyAuth } from '../keymat.ts';
import { acceptedEsp, answerEsp, offerEsp, type Selection, selectEsp } from '../proposal.ts';
import { explainRefusal } from '../refusals.ts';
import { decodeEspSpi, encodeEspSpi } from '../spi.ts';
import { describeEspSuite } from '../suites.ts';
import type { ChildSuite, IkeConfig } from '../types.ts';
import type { AuthPayload } from '../wire/auth.ts';
import { AuthMethod, ExchangeType, NotifyType } from '../wire/iana.ts';
import type { IdBody } from '../wire/id.ts';
import { findErrorNotify, findNotify, findPayload, type Payload } from '../wire/message.ts';
import { type NotifyPayload, notify } from '../wire/notify.ts';
import type { Answer, Exchange, ExchangeContext, Outcome, Reply, SaInitResult } from './exchange.ts';
import { DELETE_IKE_SA, failed } from './exchange.ts';
import { describeRedirect } from './redirect.ts';

/** IKE_AUTH as initiator, with a shared key and the first CHILD_SA: RFC 7296 §1.2, §2.15, §2.17. */
export class Auth implements Exchange {
  readonly name = 'IKE_AUTH';
  readonly type = ExchangeType.IkeAuth;
  readonly #context: ExchangeContext;
  readonly #init: SaInitResult;
  readonly #spiIn: number;

  /** `spiIn`: a fresh SPI of ours for the first CHILD_SA. */
  constructor(context: ExchangeContext, init: SaInitResult, spiIn: number) {
    this.#context = context;
    this.#init = init;
    this.#spiIn = spiIn;
  }

  get proposal(): string {
    return describeEspSuites(this.#context.config);
  }

  request(): readonly Payload[] {
    const { config } = this.#context;
    const localId = idBody(config.localId);
    const wantedId: Payload[] = config.remoteId === 'any' ? [] : [{ kind: 'id-responder', ...idBody(config.remoteId) }];
    return [
      { kind: 'id-initiator', ...localId },
      // We never hold a second IKE SA with this peer, so whatever it still has from us is stale (RFC 7296 §2.4).
      notify(NotifyType.InitialContact),
      ...wantedId,
      { kind: 'auth', method: AuthMethod.SharedKey, data: authData(this.#context, this.#init, 'initiator', localId) },
      offerEsp(config.espSuites, encodeEspSpi(this.#spiIn), config.esn),
      { kind: 'ts-initiator', selectors: ANY_TO_ANY },
      { kind: 'ts-responder', selectors: ANY_TO_ANY },
    ];
  }

  onResponse({ payloads }: Reply): Outcome {
    const auth = findPayload(payloads, 'auth');
    const id = findPayload(payloads, 'id-responder');
    const error = findErrorNotify(payloads);
    if (auth === undefined || id === undefined) return failed(this.#refusal(error));
    const verified = verifyPeer(this.#context, this.#init, 'responder', id, auth);
    if (!verified.ok) return failed(verified.error, [notify(NotifyType.AuthenticationFailed)]);
    const narrowed = this.#narrowed(payloads);
    if (narrowed !== undefined) return { kind: 'failed', reason: narrowed, farewell: DELETE_IKE_SA, narrowed: true };
    const child = this.#child(payloads, error);
    if (!child.ok) return failed(child.error, DELETE_IKE_SA);
    return { kind: 'established', child: child.value, initialContact: false, remark: verified.value };
  }

  onUnusable(reason: string): Outcome {
    return failed(reason, DELETE_IKE_SA);
  }

  silence(): string {
    const { peer } = this.#context;
    if (this.#init.intAuth.length > 0)
      return (
        `${peer} answered IKE_SA_INIT and IKE_INTERMEDIATE but not IKE_AUTH: ` +
        'the two ends hold different keys, so compare their versions; a forged answer to either looks the same'
      );
    return (
      `${peer} answered IKE_SA_INIT but not IKE_AUTH: ` +
      'check that UDP port 4500 passes in both directions; a forged answer to IKE_SA_INIT looks the same'
    );
  }

  /** The peer said no before it proved who it is; the notify came under the new keys all the same. */
  #refusal(error: NotifyPayload | undefined): string {
    const { config, peer } = this.#context;
    if (error === undefined) return `${peer} answered IKE_AUTH without IDr and AUTH; expected both`;
    return explainRefusal(error, { peer, step: 'auth', localId: describeId(idBody(config.localId)) });
  }

  /** A route-based tunnel that carries only part of what routes lead into it is worse than none. */
  #narrowed(payloads: readonly Payload[]): string | undefined {
    const tsi = findPayload(payloads, 'ts-initiator');
    const tsr = findPayload(payloads, 'ts-responder');
    if (tsi === undefined || tsr === undefined || (coversAny(tsi.selectors) && coversAny(tsr.selectors)))
      return undefined;
    return (
      `${this.#context.peer} narrowed the traffic selectors to ${describeSelectors(tsi.selectors)} === ` +
      `${describeSelectors(tsr.selectors)}; a route-based tunnel needs 0.0.0.0/0 both ways: set any-to-any selectors at the peer`
    );
  }

  /** The CHILD_SA of an authenticated response, or why there is none. */
  #child(payloads: readonly Payload[], error: NotifyPayload | undefined): Result<ChildTerms, string> {
    const { config, peer } = this.#context;
    if (error !== undefined) {
      const facts = { peer, step: 'first-child', offered: this.proposal, hint: esnHint(config) } as const;
      return err(explainRefusal(error, facts));
    }
    const sa = findPayload(payloads, 'sa');
    const tsi = findPayload(payloads, 'ts-initiator');
    const tsr = findPayload(payloads, 'ts-responder');
    if (sa === undefined || tsi === undefined || tsr === undefined)
      return err(
        describeRedirect(peer, payloads) ??
          `${peer} answered IKE_AUTH without SA, TSi or TSr and without an error; expected a CHILD_SA`,
      );
    const accepted = acceptedEsp(config.espSuites, sa, config.esn);
    if (!accepted.ok) return accepted;
    const spiOut = decodeEspSpi(accepted.value.peerSpi);
    if (spiOut === undefined) return err(`${peer} chose an invalid ESP SPI; expected four octets, 256 or more`);
    const keys = childKeys(
      this.#context.deps.crypto,
      this.#init.suite,
      this.#init.keys.d,
      accepted.value.suite,
      this.#init.nonces,
    );
    return ok({
      suite: accepted.value.suite,
      spiIn: this.#spiIn,
      spiOut,
      keysIn: keys.fromResponder,
      keysOut: keys.fromInitiator,
    });
  }
}

/** IKE_AUTH as responder. `spiIn`: a fresh SPI of ours for the first CHILD_SA. */
export function answerAuth(
  context: ExchangeContext,
  init: SaInitResult,
  spiIn: number,
  payloads: readonly Payload[],
): Answer {
  const { config, peer } = context;
  const proposal = describeEspSuites(config);
  const id = findPayload(payloads, 'id-initiator');
  const auth = findPayload(payloads, 'auth');
  if (id === undefined || auth === undefined) {
    const reason = `${peer} sent IKE_AUTH without IDi or AUTH; only authentication by a shared key is spoken here`;
    return { proposal, payloads: [notify(NotifyType.AuthenticationFailed)], outcome: failed(reason) };
  }
  const verified = verifyPeer(context, init, 'initiator', id, auth);
  if (!verified.ok)
    return { proposal, payloads: [notify(NotifyType.AuthenticationFailed)], outcome: failed(verified.error) };
  const remark = verified.value;

  const localId = idBody(config.localId);
  const proof: Payload[] = [
    { kind: 'id-responder', ...localId },
    { kind: 'auth', method: AuthMethod.SharedKey, data: authData(context, init, 'responder', localId) },
  ];
  const initialContact = findNotify(payloads, NotifyType.InitialContact) !== undefined;
  const child = answerChild(context, init, spiIn, payloads);
  if (child.kind === 'refused') {
    // RFC 7296 §1.2: the IKE SA stands although its first CHILD_SA failed.
    const outcome: Outcome = { kind: 'established', child: undefined, initialContact, remark };
    const acceptable = offerEsp(config.espSuites, NO_SPI, config.esn);
    return { proposal, payloads: [...proof, notify(child.notifyType)], outcome, acceptable };
  }
  return {
    proposal: describeEspSuite(child.terms.suite, child.terms.suite.esn),
    payloads: [
      ...proof,
      answerEsp(child.selection, encodeEspSpi(spiIn)),
      { kind: 'ts-initiator', selectors: ANY_TO_ANY },
      { kind: 'ts-responder', selectors: ANY_TO_ANY },
    ],
    outcome: { kind: 'established', child: child.terms, initialContact, remark },
  };
}

const NO_SPI = new Uint8Array(0);

type ChildAnswer =
  | { readonly kind: 'refused'; readonly notifyType: number }
  | { readonly kind: 'accepted'; readonly selection: Selection<ChildSuite>; readonly terms: ChildTerms };

function answerChild(
  { config, deps }: ExchangeContext,
  { suite, keys, nonces }: SaInitResult,
  spiIn: number,
  payloads: readonly Payload[],
): ChildAnswer {
  const sa = findPayload(payloads, 'sa');
  const tsi = findPayload(payloads, 'ts-initiator');
  const tsr = findPayload(payloads, 'ts-responder');
  const selection = sa === undefined ? undefined : selectEsp(config.espSuites, sa, config.esn);
  const spiOut = selection === undefined ? undefined : decodeEspSpi(selection.peerSpi);
  if (selection === undefined || spiOut === undefined)
    return { kind: 'refused', notifyType: NotifyType.NoProposalChosen };
  if (tsi === undefined || tsr === undefined || !coversAny(tsi.selectors) || !coversAny(tsr.selectors))
    return { kind: 'refused', notifyType: NotifyType.TsUnacceptable };
  const esp = childKeys(deps.crypto, suite, keys.d, selection.suite, nonces);
  return {
    kind: 'accepted',
    selection,
    terms: { suite: selection.suite, spiIn, spiOut, keysIn: esp.fromInitiator, keysOut: esp.fromResponder },
  };
}

/** Our own AUTH data. */
function authData(
  { config, deps }: ExchangeContext,
  init: SaInitResult,
  signer: 'initiator' | 'responder',
  id: IdBody,
): Uint8Array {
  return sharedKeyAuth(deps.crypto, init.suite, config.psk, {
    message: signer === 'initiator' ? init.requestBytes : init.responseBytes,
    peerNonce: signer === 'initiator' ? init.nonces.nr : init.nonces.ni,
    skP: signer === 'initiator' ? init.keys.pi : init.keys.pr,
    id,
    intAuth: init.intAuth,
  });
}

/** Is the peer who it should be? A value is a remark about it, mostly empty; an error says why not. */
function verifyPeer(
  context: ExchangeContext,
  init: SaInitResult,
  signer: 'initiator' | 'responder',
  id: IdBody,
  auth: AuthPayload,
): Result<string, string> {
  const { config, deps, peer } = context;
  if (auth.method !== AuthMethod.SharedKey)
    return err(
      `${peer} authenticated with method ${auth.method}; expected 2, a shared key: set pre-shared key authentication at the peer`,
    );
  if (!deps.crypto.equal(auth.data, authData(context, init, signer, id)))
    return err(
      `${peer} as ${describeId(id)} failed to authenticate: its pre-shared key differs from ours; compare both`,
    );
  if (config.remoteId === 'any' || sameId(id, idBody(config.remoteId))) return ok('');
  const difference = `${peer} identified itself as ${describeId(id)}; expected ${describeId(idBody(config.remoteId))}`;
  if (config.remoteIdStrict === false)
    return ok(
      `${difference}. Accepted, because the pre-shared key proves it; write the remote identity down to insist`,
    );
  return err(`${difference}: set the remote identity to what the peer sends, or to any`);
}

/** An offer that leaves a choice, which a peer may be too strict for. */
const esnHint = ({ esn = 'offer' }: IkeConfig): string =>
  esn === 'offer' ? ', and esn off should the peer not take a choice of sequence numbers' : '';

const describeEspSuites = ({ espSuites, esn }: IkeConfig): string =>
  [...new Set(espSuites.map((suite) => describeEspSuite(suite, esn)))].join(', ');
