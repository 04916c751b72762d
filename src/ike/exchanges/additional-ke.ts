import type { KemKeyPair } from '../../crypto/types.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { describeGroup } from '../proposal.ts';
import { KeyExchangeMethod } from '../wire/iana.ts';
import { findPayload, type Payload } from '../wire/message.ts';
import type { ExchangeContext } from './exchange.ts';

/** Octets of the ciphertext in the answer, FIPS 203 §8. */
const CIPHERTEXT_LENGTH = 1088;

/** The end that begins an additional key exchange (RFC 9370): our public key goes out, a ciphertext comes back. */
export class AdditionalKeyExchange {
  readonly #peer: string;
  readonly #exchange: string;
  readonly #keyPair: KemKeyPair;

  /** `exchange`: its name, for messages. */
  constructor({ deps, peer }: ExchangeContext, exchange: string) {
    this.#peer = peer;
    this.#exchange = exchange;
    this.#keyPair = deps.crypto.mlKem768.keyPair(deps.random);
  }

  get payload(): Payload {
    return kePayload(this.#keyPair.publicKey);
  }

  /** The shared secret that the answer brings. */
  agree(answer: readonly Payload[]): Result<Uint8Array, string> {
    const data = keData(answer);
    if (!data.ok) return err(`${this.#peer} answered ${this.#exchange} ${data.error}`);
    const secret = this.#keyPair.decapsulate(data.value);
    if (secret.ok) return secret;
    return err(
      `${this.#peer} answered ${this.#exchange} with ${data.value.length} octets of ciphertext; expected ${CIPHERTEXT_LENGTH}`,
    );
  }
}

/** The other end: the KE to answer with, and the secret in it. Costs one encapsulation. */
export function answerAdditionalKe(
  { deps, peer }: ExchangeContext,
  exchange: string,
  request: readonly Payload[],
): Result<{ readonly payload: Payload; readonly secret: Uint8Array }, string> {
  const data = keData(request);
  if (!data.ok) return err(`${peer} sent ${exchange} ${data.error}`);
  const sent = deps.crypto.mlKem768.encapsulate(data.value, deps.random);
  if (!sent.ok) return err(`${peer} sent ${exchange} with an invalid public key`);
  const { ciphertext, sharedSecret } = sent.value;
  return ok({ payload: kePayload(ciphertext), secret: sharedSecret });
}

const kePayload = (publicValue: Uint8Array): Payload => ({
  kind: 'ke',
  dhGroup: KeyExchangeMethod.MlKem768,
  publicValue,
});

function keData(payloads: readonly Payload[]): Result<Uint8Array, string> {
  const ke = findPayload(payloads, 'ke');
  if (ke?.dhGroup === KeyExchangeMethod.MlKem768) return ok(ke.publicValue);
  const got = ke === undefined ? 'without a KE' : `with a KE for ${describeGroup(ke.dhGroup)}`;
  return err(`${got}; expected one for ${describeGroup(KeyExchangeMethod.MlKem768)}`);
}
