import { expect } from 'vitest';
import { nodeCrypto } from '../../src/crypto/node.ts';
import { MessageProtection } from '../../src/ike/protection.ts';
import { Sealer } from '../../src/ike/sealer.ts';
import type { ExportedIkeKeys } from '../../src/ike/types.ts';
import type { IkeHeader } from '../../src/ike/wire/header.ts';
import { ExchangeType, notifyName } from '../../src/ike/wire/iana.ts';
import { decodeMessage, encodeMessage, encodePayloads, type Payload } from '../../src/ike/wire/message.ts';
import { fromHex, toHex } from '../../src/lib/bytes.ts';
import { equalIp } from '../../src/lib/ip.ts';
import { SeededRandom } from './clock.ts';
import type { Packet } from './network.ts';
import { BRANCH, GATEWAY, type IkeHost, IkePair, type PairOptions } from './pair.ts';

const NO_KEY = new Uint8Array(0);

/** Speaks for one end of an established SA, with the keys that this end exported; the end itself has fallen silent. */
export class RoguePeer {
  readonly pair: IkePair;
  /** The end that it speaks to. */
  readonly victim: IkeHost;
  readonly #role: 'initiator' | 'responder';
  readonly #keys: ExportedIkeKeys;
  #messageId: number;
  /** Packets on the network that `nextRequest` has looked at. */
  #seen: number;

  constructor(speaksFor: 'branch' | 'gateway', options: PairOptions = {}) {
    const exported = { initiator: { ...options.initiator, exportKeys: true }, responder: options.responder ?? {} };
    this.pair = new IkePair({ ...options, ...exported }).start().establish();
    this.#role = speaksFor === 'branch' ? 'initiator' : 'responder';
    const { initiator, responder } = this.pair;
    const keys = initiator.last('keys')?.ike;
    if (keys === undefined) throw new Error('no keys exported');
    this.#keys = keys;
    // IKE_SA_INIT and IKE_AUTH were the initiator's.
    this.#messageId = speaksFor === 'branch' ? 2 : 0;
    this.victim = speaksFor === 'branch' ? responder : initiator;
    (speaksFor === 'branch' ? initiator : responder).kill();
    this.#seen = this.pair.network.sent.length;
  }

  /** Sends one request in an SK payload; gives the payloads of the answer in words, `undefined` when there is none. */
  ask(payloads: readonly Payload[], exchangeType: number = ExchangeType.Informational): string[] | undefined {
    const before = this.pair.network.sent.length;
    const header = this.#header(exchangeType, false, this.#messageId++);
    this.#send(this.#protection().seal(header, encodePayloads(payloads)));
    const answer = this.pair.network.sent[before];
    return answer && this.#read(answer.bytes);
  }

  /** Answers, in an SK payload, the victim's request under way, or waits for the next one. */
  answer(payloads: readonly Payload[]): void {
    const { exchangeType, messageId } = this.nextRequest();
    this.#send(this.#protection().seal(this.#header(exchangeType, true, messageId), encodePayloads(payloads)));
  }

  /** The header of the victim's last request that came since the last call, or of the next one. */
  nextRequest(): IkeHeader {
    const { sent } = this.pair.network;
    const isNew = ({ from, bytes }: Packet, at: number): boolean =>
      at >= this.#seen && equalIp(from.address, this.#to) && !isResponse(bytes);
    this.pair.clock.advanceUntil(() => sent.some(isNew), 60_000, 'a request of the victim');
    const decoded = decodeMessage(sent.findLast(isNew)?.bytes ?? NO_KEY);
    if (!decoded.ok) throw decoded.error;
    this.#seen = sent.length;
    return decoded.value.header;
  }

  /** The next request takes a message id that is so much higher than it should. */
  skipMessageIds(count: number): void {
    this.#messageId += count;
  }

  /** Sends a message without protection, as anyone on the path could. */
  forge(payloads: readonly Payload[], header: Pick<IkeHeader, 'exchangeType' | 'response' | 'messageId'>): void {
    const { exchangeType, response, messageId } = header;
    this.#send(encodeMessage(this.#header(exchangeType, response, messageId), payloads));
  }

  get #to() {
    return this.#role === 'initiator' ? GATEWAY : BRANCH;
  }

  #send(bytes: Uint8Array): void {
    const from = { address: this.#role === 'initiator' ? BRANCH : GATEWAY, port: 4500 };
    this.pair.network.inject({ from, to: { address: this.#to, port: 4500 }, bytes });
    this.pair.clock.advance(10);
  }

  #header(exchangeType: number, response: boolean, messageId: number): IkeHeader {
    const { spiI, spiR } = this.#keys;
    const fromInitiator = this.#role === 'initiator';
    return { spiI: fromHex(spiI), spiR: fromHex(spiR), exchangeType, fromInitiator, response, messageId };
  }

  #read(bytes: Uint8Array): string[] {
    const message = decodeMessage(bytes);
    if (!message.ok) throw message.error;
    expect(message.value.header).toMatchObject({ response: true, messageId: this.#messageId - 1 });
    const opened = new Sealer(this.#protection(), false).open(message.value, bytes);
    if (opened.kind !== 'whole') throw new Error(opened.kind);
    return opened.payloads.map((p) => {
      if (p.kind === 'notify') return [notifyName(p.notifyType), ...hexWords(p.data)].join(' ');
      return p.kind === 'delete' ? `delete ${p.protocolId} ${p.spis.length}` : p.kind;
    });
  }

  #protection(): MessageProtection {
    const [ei, er, ai, ar] = [this.#keys.skEi, this.#keys.skEr, this.#keys.skAi, this.#keys.skAr].map(fromHex);
    if (ei === undefined || er === undefined || ai === undefined || ar === undefined) throw new Error('unreachable');
    const keys = { ei, er, ai, ar, d: NO_KEY, pi: NO_KEY, pr: NO_KEY };
    return new MessageProtection(nodeCrypto, new SeededRandom(this.#messageId), this.#keys.suite, keys, this.#role);
  }
}

const isResponse = (bytes: Uint8Array): boolean => ((bytes[19] ?? 0) & 0x20) !== 0;
const hexWords = (data: Uint8Array): string[] => (data.length === 0 ? [] : [toHex(data)]);
