import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../src/crypto/node.ts';
import { ANY_TO_ANY } from '../../src/ike/child-sa.ts';
import { ESP_MIX } from '../../src/ike/index.ts';
import { offerEspPfs } from '../../src/ike/proposal.ts';
import { MessageProtection } from '../../src/ike/protection.ts';
import { Sealer } from '../../src/ike/sealer.ts';
import { encodeEspSpi } from '../../src/ike/spi.ts';
import type { ExportedIkeKeys } from '../../src/ike/types.ts';
import { ExchangeType, NotifyType, notifyName, ProtocolId } from '../../src/ike/wire/iana.ts';
import { decodeMessage, encodePayloads, type Payload } from '../../src/ike/wire/message.ts';
import { notify } from '../../src/ike/wire/notify.ts';
import { fromHex } from '../../src/lib/bytes.ts';
import { ip } from '../../src/lib/ip.ts';
import { SeededRandom } from './clock.ts';
import { BRANCH, GATEWAY, IkePair } from './pair.ts';

const NO_KEY = new Uint8Array(0);

describe('a peer that knows the keys', () => {
  test('that leaves out half of CREATE_CHILD_SA gets INVALID_SYNTAX and loses the SA', () => {
    const rogue = new RogueGateway();
    expect(rogue.ask([{ kind: 'nonce', nonce: new Uint8Array(32) }], ExchangeType.CreateChildSa)).toEqual([
      'INVALID_SYNTAX',
    ]);
    expect(rogue.pair.initiator.last('child-down')?.reason).toBe(
      '198.51.100.20 left SA, Nonce, TSi or TSr out of CREATE_CHILD_SA',
    );
  });

  test('that narrows the selectors in a rekey gets its way, and the history a warning', () => {
    const rogue = new RogueGateway();
    const spi = encodeEspSpi(rogue.pair.responder.view.child?.spiIn ?? 0);
    const [any] = ANY_TO_ANY;
    if (any?.kind !== 'range') throw new Error('unreachable');
    const narrowed = [{ ...any, end: ip('127.255.255.255') }];
    const answer = rogue.ask(
      [
        { ...notify(NotifyType.RekeySa), protocolId: ProtocolId.Esp, spi },
        offerEspPfs(ESP_MIX.slice(5), encodeEspSpi(0x1234_5678)),
        { kind: 'nonce', nonce: new Uint8Array(32) },
        { kind: 'ke', dhGroup: 20, publicValue: nodeCrypto.keyExchange(20, new SeededRandom(1)).publicValue },
        { kind: 'ts-initiator', selectors: narrowed },
        { kind: 'ts-responder', selectors: ANY_TO_ANY },
      ],
      ExchangeType.CreateChildSa,
    );
    expect(answer).toEqual(['sa', 'nonce', 'ke', 'ts-initiator', 'ts-responder']);
    expect(rogue.pair.initiator.last('history')?.event).toMatchObject({
      exchange: 'CREATE_CHILD_SA',
      result: 'ok',
      reason:
        '198.51.100.20 narrowed the traffic selectors to 0.0.0.0-127.255.255.255 === 0.0.0.0-255.255.255.255: ' +
        'set any-to-any selectors at the peer',
    });
    // Outbound stays where it is until the peer is known to receive on the new one.
    expect(rogue.pair.initiator.all('child-outbound')).toEqual([]);
    const spiIn = rogue.pair.initiator.last('child-inbound')?.child.inbound.spi ?? 0;
    rogue.pair.initiator.feed({ kind: 'inbound-traffic', spiIn });
    expect(rogue.pair.initiator.all('child-outbound')).toEqual([{ kind: 'child-outbound', spiIn }]);
  });

  test('that rekeys a CHILD_SA which does not exist gets CHILD_SA_NOT_FOUND, and the SA stays', () => {
    const rogue = new RogueGateway();
    const rekey = { ...notify(NotifyType.RekeySa), protocolId: ProtocolId.Esp, spi: encodeEspSpi(0x1234_5678) };
    expect(rogue.ask([rekey], ExchangeType.CreateChildSa)).toEqual(['CHILD_SA_NOT_FOUND']);
    expect(rogue.pair.initiator.view.child).toBeDefined();
  });

  test('gets an empty answer to an empty request and to notifies that we do not know', () => {
    const rogue = new RogueGateway();
    expect(rogue.ask([])).toEqual([]);
    expect(rogue.ask([notify(40_000)])).toEqual([]);
    expect(rogue.pair.initiator.view.state).toBe('established');
  });

  test('is told which critical payload we do not support, and the SA stays', () => {
    const rogue = new RogueGateway();
    const critical = { kind: 'unknown', type: 200, critical: true, bytes: new Uint8Array(4) } as const;
    expect(rogue.ask([critical])).toEqual(['UNSUPPORTED_CRITICAL_PAYLOAD c8']);
    expect(rogue.ask([{ ...critical, critical: false }])).toEqual([]);
    expect(rogue.pair.initiator.view.state).toBe('established');
  });

  test('that sends nonsense under valid protection gets INVALID_SYNTAX and loses the SA', () => {
    const rogue = new RogueGateway();
    const truncatedNonce = { kind: 'unknown', type: 40, critical: false, bytes: new Uint8Array(3) } as const;
    expect(rogue.ask([truncatedNonce])).toEqual(['INVALID_SYNTAX']);
    expect(rogue.pair.initiator.last('child-down')?.reason).toMatch(
      /^198\.51\.100\.20 sent a malformed request under valid protection: nonce-length/,
    );
  });

  test('deletes its half of the CHILD_SA, is told ours, and the branch asks for another', () => {
    const rogue = new RogueGateway();
    const spis = [rogue.pair.responder.last('child-up')?.child.inbound.spi ?? 0].map(encodeEspSpi);
    expect(rogue.ask([{ kind: 'delete', protocolId: ProtocolId.Esp, spis }])).toEqual(['delete 3 1']);
    expect(rogue.pair.initiator.last('child-down')?.reason).toBe('198.51.100.20 deleted the CHILD_SA');
    expect(rogue.pair.initiator.view).toMatchObject({ state: 'established', child: undefined });
    const before = rogue.pair.network.sent.length;
    rogue.pair.clock.advance(10_000);
    const [request] = rogue.pair.network.sent.slice(before);
    expect(request?.bytes[18]).toBe(ExchangeType.CreateChildSa);
  });

  test('deletes a CHILD_SA that does not exist, and nothing happens', () => {
    const rogue = new RogueGateway();
    const spis = [encodeEspSpi(0x1234_5678), new Uint8Array(4), new Uint8Array(4).fill(1)];
    expect(rogue.ask([{ kind: 'delete', protocolId: ProtocolId.Esp, spis }])).toEqual([]);
    expect(rogue.pair.initiator.view.child).toBeDefined();
  });

  test('takes AUTHENTICATION_FAILED back later, and the branch starts over', () => {
    const rogue = new RogueGateway();
    expect(rogue.ask([notify(NotifyType.AuthenticationFailed)])).toEqual([]);
    expect(rogue.pair.initiator.last('child-down')?.reason).toBe(
      '198.51.100.20 gave up the IKE SA (AUTHENTICATION_FAILED): compare the pre-shared key and the identities at both ends',
    );
  });
});

/** Speaks for the gateway on an established SA, with the keys that the gateway exported. */
class RogueGateway {
  readonly pair = new IkePair({ responder: { exportKeys: true } }).start().establish();
  readonly #keys: ExportedIkeKeys;
  #messageId = 0;

  constructor() {
    const keys = this.pair.responder.last('keys')?.ike;
    if (keys === undefined) throw new Error('no keys exported');
    this.#keys = keys;
    this.pair.responder.kill();
  }

  /** Sends one request in an SK payload; gives the payloads of the answer in words. */
  ask(payloads: readonly Payload[], exchangeType: number = ExchangeType.Informational): string[] {
    const { spiI, spiR } = this.#keys;
    const header = { spiI: fromHex(spiI), spiR: fromHex(spiR), exchangeType, messageId: this.#messageId++ };
    const inner = encodePayloads(payloads);
    const request = this.#protection('responder').seal({ ...header, fromInitiator: false, response: false }, inner);
    const before = this.pair.network.sent.length;
    const [from, to] = [GATEWAY, BRANCH].map((address) => ({ address, port: 4500 }));
    if (from === undefined || to === undefined) throw new Error('unreachable');
    this.pair.network.inject({ from, to, bytes: request });
    this.pair.clock.advance(10);
    return this.#read(this.pair.network.sent[before]?.bytes ?? new Uint8Array(0));
  }

  #read(bytes: Uint8Array): string[] {
    const message = decodeMessage(bytes);
    if (!message.ok) throw message.error;
    expect(message.value.header).toMatchObject({ response: true, messageId: this.#messageId - 1 });
    const opened = new Sealer(this.#protection('responder'), false).open(message.value, bytes);
    if (opened.kind !== 'whole') throw new Error(opened.kind);
    return opened.payloads.map((p) => {
      if (p.kind === 'notify') return [notifyName(p.notifyType), ...hexWords(p.data)].join(' ');
      return p.kind === 'delete' ? `delete ${p.protocolId} ${p.spis.length}` : p.kind;
    });
  }

  #protection(role: 'initiator' | 'responder'): MessageProtection {
    const [ei, er, ai, ar] = [this.#keys.skEi, this.#keys.skEr, this.#keys.skAi, this.#keys.skAr].map(fromHex);
    if (ei === undefined || er === undefined || ai === undefined || ar === undefined) throw new Error('unreachable');
    const keys = { ei, er, ai, ar, d: NO_KEY, pi: NO_KEY, pr: NO_KEY };
    return new MessageProtection(nodeCrypto, new SeededRandom(this.#messageId), this.#keys.suite, keys, role);
  }
}

const hexWords = (data: Uint8Array): string[] => (data.length === 0 ? [] : [Buffer.from(data).toString('hex')]);
