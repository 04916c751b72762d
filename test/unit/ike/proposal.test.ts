import { describe, expect, test } from 'vitest';
import {
  DEFAULT_ESP_SUITES,
  DEFAULT_IKE_SUITES,
  describeEspSuite,
  describeIkeSuite,
  ESP_MIX,
  IKE_MIX,
} from '../../../src/ike/index.ts';
import {
  acceptedEsp,
  acceptedEspPfs,
  acceptedIke,
  answerEsp,
  answerEspPfs,
  answerIke,
  describeMismatch,
  describeOffer,
  offerEsp,
  offerEspPfs,
  offerIke,
  selectEsp,
  selectEspPfs,
  selectIke,
} from '../../../src/ike/proposal.ts';
import { describeEspPfs, preferHybridEsp, preferHybridIke } from '../../../src/ike/suites.ts';
import type { EsnPolicy, EspSuite, IkeSuite } from '../../../src/ike/types.ts';
import type { SaPayload, Transform } from '../../../src/ike/wire/sa.ts';
import { fromHex } from '../../../src/lib/bytes.ts';

const SPI = fromHex('c0ffee01');
const ALL_IKE: readonly IkeSuite[] = [...IKE_MIX, ...DEFAULT_IKE_SUITES];

describe('suite names', () => {
  test('IKE MIX 8, an AES-GCM suite and an ESP suite', () => {
    expect(IKE_MIX.slice(7).map(describeIkeSuite)).toEqual(['AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384']);
    expect(DEFAULT_IKE_SUITES.slice(0, 1).map(describeIkeSuite)).toEqual([
      'AES_GCM_16_256/PRF_HMAC_SHA2_384/MODP_2048_256',
    ]);
    expect(DEFAULT_ESP_SUITES.map((suite) => describeEspSuite(suite))).toEqual([
      'AES_GCM_16_256',
      'AES_GCM_16_192',
      'AES_GCM_16_128',
    ]);
  });

  test('sequence numbers are named where they are not the usual ones', () => {
    const [pfs, plain] = [ESP_MIX[5], DEFAULT_ESP_SUITES[0]];
    if (pfs === undefined || plain === undefined) throw new Error('no suite');
    expect([true, false, 'require', 'off', 'offer'].map((esn) => describeEspPfs(pfs, esn as EsnPolicy))).toEqual([
      'AES_GCM_16_256/ECP_384/ESN',
      'AES_GCM_16_256/ECP_384',
      'AES_GCM_16_256/ECP_384/ESN',
      'AES_GCM_16_256/ECP_384/NO_ESN',
      'AES_GCM_16_256/ECP_384',
    ]);
    expect(describeEspPfs(plain, true)).toBe('AES_GCM_16_256/ESN without PFS');
    expect(describeEspSuite(plain, true)).toBe('AES_GCM_16_256/ESN');
  });

  test('every suite has its own', () => {
    expect(new Set(ALL_IKE.map(describeIkeSuite)).size).toBe(12);
  });
});

describe('IKE proposals', () => {
  test.each(ALL_IKE.map((suite, i) => ({ suite, number: i + 1, name: describeIkeSuite(suite) })))(
    '$name is found in the offer of all twelve, and its answer is accepted under its number',
    ({ suite, number }) => {
      const selection = selectIke([suite], offerIke(ALL_IKE));
      expect(selection).toMatchObject({ suite, number });
      if (selection === undefined) return;
      expect(acceptedIke(ALL_IKE, answerIke(selection))).toMatchObject({ ok: true, value: { suite } });
    },
  );

  test('an offer of any size is told in a text of bounded length', () => {
    const transforms: Transform[] = Array.from({ length: 255 }, (_, id) => ({
      type: 4,
      id: 1_000 + id,
      attributes: [],
    }));
    const proposals = Array.from({ length: 255 }, (_, i) => ({ number: i, protocolId: 1, spi: SPI, transforms }));
    expect(describeOffer({ kind: 'sa', proposals }).length).toBeLessThan(700);
    expect(describeMismatch(offerIke(ALL_IKE), { kind: 'sa', proposals }).length).toBeLessThan(1_000);
  });

  test('the responder prefers by its own order', () => {
    const [first, second] = [IKE_MIX[4], IKE_MIX[0]];
    if (first === undefined || second === undefined) throw new Error('no MIX');
    expect(selectIke([first, second], offerIke([second, first]))).toMatchObject({ suite: first, number: 2 });
  });

  test('one proposal with alternatives per type, as other initiators send it, matches', () => {
    const both = (type: number, a: number, b: number): Transform[] =>
      [a, b].map((id) => ({ type, id, attributes: [] }));
    const cbc = (bits: number): Transform => ({ type: 1, id: 12, attributes: [{ type: 14, value: bits }] });
    const transforms = [cbc(128), cbc(256), ...both(3, 12, 13), ...both(2, 5, 6), ...both(4, 19, 20)];
    const offer: SaPayload = {
      kind: 'sa',
      proposals: [{ number: 1, protocolId: 1, spi: new Uint8Array(0), transforms }],
    };
    for (const suite of IKE_MIX) expect(selectIke([suite], offer)?.suite).toEqual(suite);
    expect(selectIke(DEFAULT_IKE_SUITES, offer)).toBeUndefined();
  });

  test('AES-GCM with an explicit "no integrity" matches, a wrong key length or a foreign attribute does not', () => {
    const [gcm] = DEFAULT_IKE_SUITES;
    if (gcm === undefined) throw new Error('no suite');
    const withTransform = (change: (transforms: readonly Transform[]) => readonly Transform[]): SaPayload => ({
      kind: 'sa',
      proposals: offerIke([gcm]).proposals.map((p) => ({ ...p, transforms: change(p.transforms) })),
    });
    expect(
      selectIke(
        [gcm],
        withTransform((t) => [...t, { type: 3, id: 0, attributes: [] }]),
      ),
    ).toBeDefined();
    expect(
      selectIke(
        [gcm],
        withTransform((t) => [...t, { type: 3, id: 12, attributes: [] }]),
      ),
    ).toBeUndefined();
    expect(
      selectIke(
        [gcm],
        withTransform(([first, ...rest]) => keyed(first, [{ type: 14, value: 128 }], rest)),
      ),
    ).toBeUndefined();
    const foreign = [
      { type: 14, value: 256 },
      { type: 99, value: 1 },
    ];
    expect(
      selectIke(
        [gcm],
        withTransform(([first, ...rest]) => keyed(first, foreign, rest)),
      ),
    ).toBeUndefined();
  });

  test('an answer that was not offered is refused in words', () => {
    const [mix1, mix2] = IKE_MIX;
    if (mix1 === undefined || mix2 === undefined) throw new Error('no MIX');
    const wrongSuite = acceptedIke([mix1], answerIke({ suite: mix2, number: 1, peerSpi: SPI, declined: [] }));
    expect(wrongSuite).toEqual({
      ok: false,
      error:
        'the peer chose AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_384 (proposal 1), which we did not offer; ' +
        'we offered AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256 (here vs there: group ECP_256 vs ECP_384)',
    });
    expect(acceptedIke([mix1], answerIke({ suite: mix1, number: 2, peerSpi: SPI, declined: [] })).ok).toBe(false);
    expect(acceptedIke([mix1, mix2], offerIke([mix1, mix2])).ok).toBe(false);
  });
});

describe('hybrid proposals', () => {
  const [mix8] = IKE_MIX.slice(7) as [IkeSuite];
  const [hybrid] = preferHybridIke([mix8]) as [IkeSuite];
  const withAdditional = (...additional: [type: number, id: number][]): SaPayload => ({
    kind: 'sa',
    proposals: offerIke([mix8]).proposals.map((p) => ({
      ...p,
      transforms: [...p.transforms, ...additional.map(([type, id]) => ({ type, id, attributes: [] }))],
    })),
  });

  test('come first, each a proposal of its own, and then what a peer without them understands', () => {
    const offer = offerIke(preferHybridIke([mix8]));
    expect(offer.proposals.map(({ number, transforms }) => [number, transforms.at(-1)])).toEqual([
      [1, { type: 6, id: 36, attributes: [] }],
      [2, { type: 4, id: 20, attributes: [] }],
    ]);
    expect(offer.proposals.slice(1).map(({ transforms }) => transforms)).toEqual(
      offerIke([mix8]).proposals.map(({ transforms }) => transforms),
    );
    expect(describeIkeSuite(hybrid)).toBe('AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384/ML_KEM_768');
    expect(describeOffer(offer)).toBe(preferHybridIke([mix8]).map(describeIkeSuite).join(', '));
  });

  test('are picked by a responder that prefers them, and the classic one by a responder that lacks them', () => {
    const suites = preferHybridIke([mix8]);
    const picked = selectIke(suites, offerIke(suites));
    expect(picked).toMatchObject({ suite: hybrid, number: 1 });
    expect(selectIke([mix8], offerIke(suites))).toMatchObject({ suite: mix8, number: 2 });
    expect(selectIke(suites, offerIke([mix8]))).toMatchObject({ suite: mix8, number: 1 });
    expect(selectIke([mix8], offerIke([hybrid]))).toBeUndefined();
    if (picked === undefined) return;
    expect(acceptedIke(suites, answerIke(picked))).toMatchObject({ ok: true, value: { suite: hybrid } });
    expect(acceptedIke([mix8], answerIke(picked)).ok).toBe(false);
  });

  test.each<[string, [number, number][], IkeSuite | undefined, [number, number][]]>([
    [
      'ML-KEM or none, to one who has it',
      [
        [6, 36],
        [6, 0],
      ],
      hybrid,
      [[6, 36]],
    ],
    [
      'ML-KEM-1024 or none',
      [
        [6, 37],
        [6, 0],
      ],
      mix8,
      [[6, 0]],
    ],
    ['ML-KEM-1024 without a way out', [[6, 37]], undefined, []],
    [
      'ML-KEM twice, the second optional',
      [
        [6, 36],
        [7, 36],
        [7, 0],
      ],
      hybrid,
      [
        [6, 36],
        [7, 0],
      ],
    ],
    [
      'a second exchange that is a must',
      [
        [6, 36],
        [7, 37],
      ],
      undefined,
      [],
    ],
    [
      'one of seven, optional',
      [
        [12, 36],
        [12, 0],
      ],
      mix8,
      [[12, 0]],
    ],
  ])('%s: RFC 9370 §2.2.1', (_, additional, suite, answered) => {
    const selection = selectIke(preferHybridIke([mix8]), withAdditional(...additional));
    expect(selection?.suite).toEqual(suite);
    if (selection === undefined) return;
    const [proposal] = answerIke(selection).proposals;
    expect(proposal?.transforms.filter(({ type }) => type >= 6).map(({ type, id }) => [type, id])).toEqual(answered);
  });

  test('of ESP need a PFS group, and look like any other in IKE_AUTH', () => {
    const [mix6] = ESP_MIX.slice(5) as [EspSuite];
    const suites = preferHybridEsp([mix6]);
    expect(suites.map((suite) => describeEspPfs(suite))).toEqual([
      'AES_GCM_16_256/ECP_384/ML_KEM_768',
      'AES_GCM_16_256/ECP_384',
    ]);
    expect(preferHybridEsp(DEFAULT_ESP_SUITES)).toEqual(DEFAULT_ESP_SUITES);
    expect(offerEsp(suites, SPI)).toEqual(offerEsp([mix6], SPI));
    expect(selectEspPfs([mix6], offerEspPfs(suites, SPI))).toMatchObject({ suite: mix6, number: 2 });
  });
});

describe('ESP proposals', () => {
  test('suites that differ in the PFS group alone are one proposal in IKE_AUTH, without a group', () => {
    const offer = offerEsp(ESP_MIX, SPI);
    expect(offer.proposals.map((p) => p.transforms.map((t) => `${t.type}:${t.id}`))).toEqual([
      ['1:20', '5:1', '5:0'],
      ['1:20', '5:1', '5:0'],
    ]);
  });

  test('the answer brings the peer SPI', () => {
    const selection = selectEsp(DEFAULT_ESP_SUITES, offerEsp(DEFAULT_ESP_SUITES, SPI));
    if (selection === undefined) throw new Error('nothing selected');
    expect(selection).toMatchObject({ number: 1, peerSpi: SPI, declined: [] });
    const answer = acceptedEsp(DEFAULT_ESP_SUITES, answerEsp(selection, fromHex('00000200')));
    expect(answer).toMatchObject({ ok: true, value: { suite: DEFAULT_ESP_SUITES[0], peerSpi: fromHex('00000200') } });
  });

  describe('sequence numbers', () => {
    test.each<[EsnPolicy, EsnPolicy, boolean | undefined]>([
      ['offer', 'offer', true],
      ['offer', 'require', true],
      ['offer', 'off', false],
      ['require', 'require', true],
      ['require', 'offer', true],
      ['require', 'off', undefined],
      ['off', 'off', false],
      ['off', 'offer', false],
      ['off', 'require', undefined],
    ])('%s meets %s: ESN %s, with and without a PFS group', (ours, theirs, esn) => {
      for (const { offer, select, answer, accept } of BOTH_EXCHANGES) {
        const selection = select(ESP_MIX, offer(ESP_MIX, SPI, ours), theirs);
        expect(selection?.suite.esn).toBe(esn);
        if (selection === undefined) continue;
        const reply = answer(selection, SPI);
        const esnTransforms = reply.proposals.flatMap((p) => p.transforms.filter((t) => t.type === 5));
        expect(esnTransforms.map(({ id }) => id)).toEqual([esn === true ? 1 : 0]);
        expect(accept(ESP_MIX, reply, ours)).toMatchObject({ ok: true, value: { suite: { esn } } });
      }
    });

    test('an answer that names both kinds, none, or one that we did not offer is refused', () => {
      const answer = (ids: readonly number[]): SaPayload => ({
        kind: 'sa',
        proposals: offerEsp(DEFAULT_ESP_SUITES.slice(0, 1), SPI, 'require').proposals.map((p) => ({
          ...p,
          transforms: [...p.transforms.slice(0, 1), ...ids.map((id) => ({ type: 5, id, attributes: [] }))],
        })),
      });
      expect(acceptedEsp(DEFAULT_ESP_SUITES, answer([1])).ok).toBe(true);
      for (const ids of [[1, 0], [], [2]]) expect(acceptedEsp(DEFAULT_ESP_SUITES, answer(ids)).ok).toBe(false);
      expect(acceptedEsp(DEFAULT_ESP_SUITES.slice(0, 1), answer([0]), 'require')).toEqual({
        ok: false,
        error:
          'the peer chose AES_GCM_16_256/NO_ESN (proposal 1), which we did not offer; we offered AES_GCM_16_256/ESN ' +
          '(here vs there: sequence numbers ESN vs NO_ESN)',
      });
    });
  });
});

const BOTH_EXCHANGES = [
  { offer: offerEsp, select: selectEsp, answer: answerEsp, accept: acceptedEsp },
  { offer: offerEspPfs, select: selectEspPfs, answer: answerEspPfs, accept: acceptedEspPfs },
];

function keyed(
  first: Transform | undefined,
  attributes: Transform['attributes'],
  rest: readonly Transform[],
): readonly Transform[] {
  return first === undefined ? rest : [{ ...first, attributes }, ...rest];
}
