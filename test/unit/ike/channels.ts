import { nodeCrypto } from '../../../src/crypto/node.ts';
import { type Datagram, IkeChannel } from '../../../src/ike/channel.ts';
import type { IkeTerms } from '../../../src/ike/exchanges/exchange.ts';
import { deriveSkKeys } from '../../../src/ike/keymat.ts';
import type { IkeSuite } from '../../../src/ike/types.ts';
import { decodeMessage, type IkeMessage } from '../../../src/ike/wire/message.ts';
import { ip } from '../../../src/lib/ip.ts';
import { SeededRandom } from '../../sim/clock.ts';

const PEER = { address: ip('198.51.100.20'), port: 4500 } as const;

/** One end of an IKE SA with keys; the other end is the one with the other role and the same terms. */
export function protectedChannel(role: 'initiator' | 'responder', terms: IkeTerms, fragmentSize?: number): IkeChannel {
  const deps = { crypto: nodeCrypto, random: new SeededRandom(role === 'initiator' ? 1 : 2) };
  const config = { localAddress: ip('192.0.2.10'), ...(fragmentSize === undefined ? {} : { fragmentSize }) };
  const channel = new IkeChannel(deps, config, role, terms.spiI, { localPort: 4500, remote: PEER });
  channel.protect(terms);
  return channel;
}

export function termsOf(suite: IkeSuite): IkeTerms {
  const random = new SeededRandom(7);
  const [spiI, spiR] = [random.bytes(8), random.bytes(8)];
  const keys = deriveSkKeys(nodeCrypto, suite, random.bytes(48), { ni: spiI, nr: spiR }, spiI, spiR);
  return { spiI, spiR, suite, keys, nat: { local: false, remote: false, remoteForced: false }, fragmentation: true };
}

/** A datagram as it arrives, and what it decodes to. */
export function received(bytes: Uint8Array | undefined): { message: IkeMessage; datagram: Datagram } {
  if (bytes === undefined) throw new Error('no such datagram');
  const message = decodeMessage(bytes);
  if (!message.ok) throw message.error;
  return { message: message.value, datagram: { localPort: 4500, from: PEER, bytes } };
}
