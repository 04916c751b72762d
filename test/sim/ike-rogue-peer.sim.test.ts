import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../src/crypto/node.ts';
import { ANY_TO_ANY } from '../../src/ike/child-sa.ts';
import { ESP_MIX } from '../../src/ike/index.ts';
import { answerEspPfs, offerEspPfs, selectEspPfs } from '../../src/ike/proposal.ts';
import { encodeEspSpi } from '../../src/ike/spi.ts';
import { ExchangeType, NotifyType, ProtocolId } from '../../src/ike/wire/iana.ts';
import type { Payload } from '../../src/ike/wire/message.ts';
import { notify } from '../../src/ike/wire/notify.ts';
import { ip } from '../../src/lib/ip.ts';
import { SeededRandom } from './clock.ts';
import { RoguePeer } from './rogue-peer.ts';

describe('a peer that knows the keys', () => {
  test('that leaves out half of CREATE_CHILD_SA gets INVALID_SYNTAX and loses the SA', () => {
    const rogue = new RoguePeer('gateway');
    expect(rogue.ask([{ kind: 'nonce', nonce: new Uint8Array(32) }], ExchangeType.CreateChildSa)).toEqual([
      'INVALID_SYNTAX',
    ]);
    expect(rogue.pair.initiator.last('child-down')?.reason).toBe(
      '198.51.100.20 left SA, Nonce, TSi or TSr out of CREATE_CHILD_SA',
    );
  });

  test('that narrows the selectors in a rekey gets its way, and the history a warning', () => {
    const rogue = new RoguePeer('gateway');
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
    expect(rogue.pair.initiator.view.narrowed).toMatch(
      /^198\.51\.100\.20 narrowed the traffic selectors to 0\.0\.0\.0-127/,
    );
  });

  test('that rekeys a CHILD_SA which does not exist gets CHILD_SA_NOT_FOUND, and the SA stays', () => {
    const rogue = new RoguePeer('gateway');
    const rekey = { ...notify(NotifyType.RekeySa), protocolId: ProtocolId.Esp, spi: encodeEspSpi(0x1234_5678) };
    expect(rogue.ask([rekey], ExchangeType.CreateChildSa)).toEqual(['CHILD_SA_NOT_FOUND']);
    expect(rogue.pair.initiator.view.child).toBeDefined();
  });

  test('gets an empty answer to an empty request and to notifies that we do not know', () => {
    const rogue = new RoguePeer('gateway');
    expect(rogue.ask([])).toEqual([]);
    expect(rogue.ask([notify(40_000)])).toEqual([]);
    expect(rogue.pair.initiator.view.state).toBe('established');
  });

  test('is told which critical payload we do not support, and the SA stays', () => {
    const rogue = new RoguePeer('gateway');
    const critical = { kind: 'unknown', type: 200, critical: true, bytes: new Uint8Array(4) } as const;
    expect(rogue.ask([critical])).toEqual(['UNSUPPORTED_CRITICAL_PAYLOAD c8']);
    expect(rogue.ask([{ ...critical, critical: false }])).toEqual([]);
    expect(rogue.pair.initiator.view.state).toBe('established');
  });

  test('that sends nonsense under valid protection gets INVALID_SYNTAX and loses the SA', () => {
    const rogue = new RoguePeer('gateway');
    const truncatedNonce = { kind: 'unknown', type: 40, critical: false, bytes: new Uint8Array(3) } as const;
    expect(rogue.ask([truncatedNonce])).toEqual(['INVALID_SYNTAX']);
    expect(rogue.pair.initiator.last('child-down')?.reason).toMatch(
      /^198\.51\.100\.20 sent a malformed request under valid protection: nonce-length/,
    );
  });

  test('deletes its half of the CHILD_SA, is told ours, and the branch asks for another', () => {
    const rogue = new RoguePeer('gateway');
    const spis = [rogue.pair.responder.last('child-up')?.child.inbound.spi ?? 0].map(encodeEspSpi);
    expect(rogue.ask([{ kind: 'delete', protocolId: ProtocolId.Esp, spis }])).toEqual(['delete 3 1']);
    expect(rogue.pair.initiator.last('child-down')?.reason).toBe('198.51.100.20 deleted the CHILD_SA');
    expect(rogue.pair.initiator.view).toMatchObject({ state: 'established', child: undefined });
    const before = rogue.pair.network.sent.length;
    rogue.pair.clock.advance(10_000);
    const [request] = rogue.pair.network.sent.slice(before);
    expect(request?.bytes[18]).toBe(ExchangeType.CreateChildSa);
  });

  test('says that it lost the CHILD_SA in use, and the branch replaces it at once; of any other SPI it only takes note', () => {
    for (const [known, next] of [
      [true, ExchangeType.CreateChildSa],
      [false, ExchangeType.Informational],
    ] as const) {
      const rogue = new RoguePeer('gateway');
      const spi = known ? (rogue.victim.last('child-up')?.child.outbound.spi ?? 0) : 0x1234_5678;
      expect(rogue.ask([notify(NotifyType.InvalidSpi, encodeEspSpi(spi))])).toEqual([]);
      expect(rogue.victim.last('history')?.event).toMatchObject({
        direction: 'in',
        result: 'ok',
        reason: expect.stringMatching(/got ESP for a CHILD_SA that it does not have \(INVALID_SPI\): /),
      });
      expect(rogue.nextRequest().exchangeType).toBe(next);
    }
  });

  test('deletes a CHILD_SA that does not exist, and nothing happens', () => {
    const rogue = new RoguePeer('gateway');
    const spis = [encodeEspSpi(0x1234_5678), new Uint8Array(4), new Uint8Array(4).fill(1)];
    expect(rogue.ask([{ kind: 'delete', protocolId: ProtocolId.Esp, spis }])).toEqual([]);
    expect(rogue.pair.initiator.view.child).toBeDefined();
  });

  test('deletes by our SPI instead of its own after a rekey, and nothing happens', () => {
    const rogue = new RoguePeer('gateway');
    const { spiIn = 0 } = rogue.victim.view.child ?? {};
    rogue.victim.feed({ kind: 'rekey', what: 'child' });
    rogue.answer(madeChild(0x1234_5678));
    const made = rogue.victim.view.child?.spiIn ?? 0;
    expect(made).not.toBe(spiIn);
    const spis = [spiIn, made].map(encodeEspSpi);
    expect(rogue.ask([{ kind: 'delete', protocolId: ProtocolId.Esp, spis }])).toEqual([]);
    expect([...rogue.victim.receiving.keys()]).toEqual([spiIn, made]);
  });

  test.each(['a new one', 'a rekey'])(
    'deletes what it made for our request before its answer comes: %s is not set up, and we ask again',
    (what) => {
      const rogue = new RoguePeer('gateway');
      const old = rogue.victim.view.child;
      if (what === 'a rekey') rogue.victim.feed({ kind: 'rekey', what: 'child' });
      else loseChild(rogue);
      const { exchangeType } = rogue.nextRequest();
      expect(exchangeType).toBe(ExchangeType.CreateChildSa);
      const spis = [encodeEspSpi(0x1234_5678)];
      expect(rogue.ask([{ kind: 'delete', protocolId: ProtocolId.Esp, spis }])).toEqual([]);
      rogue.answer(madeChild(0x1234_5678));
      expect(rogue.victim.sending?.outbound.spi).toBe(what === 'a rekey' ? old?.spiOut : undefined);
      expect([...rogue.victim.receiving.keys()]).toEqual(what === 'a rekey' ? [old?.spiIn] : []);
      rogue.pair.clock.advance(1_000);
      while (rogue.nextRequest().exchangeType !== ExchangeType.CreateChildSa) rogue.answer([]);
      rogue.answer(madeChild(0x1234_5679));
      expect(rogue.victim.sending?.outbound.spi).toBe(0x1234_5679);
    },
  );

  test('rekeys what it made for our request before its answer comes: TEMPORARY_FAILURE, for we may know it soon', () => {
    const rogue = new RoguePeer('gateway');
    loseChild(rogue);
    rogue.nextRequest();
    const rekey = { ...notify(NotifyType.RekeySa), protocolId: ProtocolId.Esp, spi: encodeEspSpi(0x1234_5678) };
    expect(rogue.ask([rekey], ExchangeType.CreateChildSa)).toEqual(['TEMPORARY_FAILURE']);
  });

  test('takes AUTHENTICATION_FAILED back later, and the branch starts over', () => {
    const rogue = new RoguePeer('gateway');
    expect(rogue.ask([notify(NotifyType.AuthenticationFailed)])).toEqual([]);
    expect(rogue.pair.initiator.last('child-down')?.reason).toBe(
      '198.51.100.20 gave up the IKE SA (AUTHENTICATION_FAILED): compare the pre-shared key and the identities at both ends',
    );
  });
});

/** The branch has no CHILD_SA any more and asks for one. */
function loseChild(rogue: RoguePeer): void {
  rogue.pair.clock.advance(9_000);
  const spis = [rogue.victim.view.child?.spiOut ?? 0].map(encodeEspSpi);
  expect(rogue.ask([{ kind: 'delete', protocolId: ProtocolId.Esp, spis }])).toEqual(['delete 3 1']);
}

/** An answer that agrees to all that the branch offers in CREATE_CHILD_SA. */
function madeChild(spi: number): Payload[] {
  const suites = ESP_MIX.slice(5);
  const selection = selectEspPfs(suites, offerEspPfs(suites, encodeEspSpi(spi)));
  if (selection === undefined) throw new Error('unreachable');
  return [
    answerEspPfs(selection, encodeEspSpi(spi)),
    { kind: 'nonce', nonce: new Uint8Array(32) },
    { kind: 'ke', dhGroup: 20, publicValue: nodeCrypto.keyExchange(20, new SeededRandom(1)).publicValue },
    { kind: 'ts-initiator', selectors: ANY_TO_ANY },
    { kind: 'ts-responder', selectors: ANY_TO_ANY },
  ];
}
