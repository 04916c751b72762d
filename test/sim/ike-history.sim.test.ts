import { describe, expect, test } from 'vitest';
import type { IkeHistoryEvent } from '../../src/ike/index.ts';
import { ESP_MIX, IKE_MIX } from '../../src/ike/index.ts';
import { ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
import { Nat } from './network.ts';
import { BRANCH, type IkeHost, IkePair, type PairOptions } from './pair.ts';
import { quickCrypto } from './quick-crypto.ts';

const IKE_256 = 'AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384';
const IKE_128 = 'AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256';

describe('the history of an exchange holds what both ends said', () => {
  test('that succeeded: every proposal, the choice, notifies by name and the NAT', () => {
    const pair = new IkePair({ crypto: quickCrypto });
    pair.network.middlebox = new Nat(BRANCH, ip('203.0.113.9')).translate;
    pair.start().establish();
    pair.initiator.feed({ kind: 'rekey', what: 'child' });
    pair.clock.advance(1_000);

    const [init, auth, rekey, deletion] = events(pair.initiator);
    expect(init).toMatchObject({ proposal: IKE_256, proposalLocal: IKE_256, proposalPeer: IKE_256, nat: 'local' });
    expect(init?.notifySent).toContain('NAT_DETECTION_SOURCE_IP, NAT_DETECTION_DESTINATION_IP');
    expect(auth).toMatchObject({
      proposal: 'AES_GCM_16_256/ESN',
      proposalLocal: 'AES_GCM_16_256/ESN+NO_ESN',
      proposalPeer: 'AES_GCM_16_256/ESN',
      nat: '',
    });
    expect(auth?.notifySent).toContain('INITIAL_CONTACT');
    expect(rekey).toMatchObject({
      proposalLocal: 'AES_GCM_16_256/ECP_384/ESN+NO_ESN',
      proposalPeer: 'AES_GCM_16_256/ECP_384/ESN',
      notifySent: 'REKEY_SA',
    });
    expect(deletion).toMatchObject({ exchange: 'INFORMATIONAL', proposalLocal: '', proposalPeer: '' });

    const [theirInit, theirAuth] = events(pair.responder);
    expect(theirInit).toMatchObject({ direction: 'in', proposalLocal: IKE_256, proposalPeer: IKE_256, nat: 'remote' });
    expect(theirAuth).toMatchObject({
      proposalLocal: 'AES_GCM_16_256/ESN',
      proposalPeer: 'AES_GCM_16_256/ESN+NO_ESN',
    });
  });

  test('that the responder refused: what it would have taken beside what was offered, and what differs', () => {
    const { initiator, responder } = settled({ initiator: { ikeSuites: IKE_MIX.slice(0, 1) } });
    expect(events(responder)[0]).toMatchObject({
      result: 'failed',
      proposalLocal: IKE_256,
      proposalPeer: IKE_128,
      notifySent: 'NO_PROPOSAL_CHOSEN',
    });
    expect(events(responder)[0]?.reason).toMatch(
      /at both ends \(here vs there: encryption AES_CBC_256 vs AES_CBC_128, integrity HMAC_SHA2_384_192 vs HMAC_SHA2_256_128, PRF PRF_HMAC_SHA2_384 vs PRF_HMAC_SHA2_256, group ECP_384 vs ECP_256\)$/,
    );
    expect(events(initiator)[0]).toMatchObject({
      proposalLocal: IKE_128,
      proposalPeer: '',
      notifyReceived: 'NO_PROPOSAL_CHOSEN',
    });
  });

  test('that failed for one transform: that one is named alone', () => {
    const mix7 = settled({ initiator: { ikeSuites: IKE_MIX.slice(6, 7) } });
    expect(events(mix7.responder)[0]?.reason).toMatch(/\(here vs there: group ECP_384 vs ECP_256\)$/);
  });

  test('of a CHILD_SA that was refused: in IKE_AUTH and in a rekey', () => {
    const child = settled({ initiator: { espSuites: ESP_MIX.slice(2, 3) } });
    expect(events(child.responder)[1]).toMatchObject({
      exchange: 'IKE_AUTH',
      proposalLocal: 'AES_GCM_16_256/ESN+NO_ESN',
      proposalPeer: 'AES_GCM_16_128/ESN+NO_ESN',
      notifySent: 'NO_PROPOSAL_CHOSEN',
    });
    const pair = settled({ responder: { espSuites: ESP_MIX.slice(4, 5), acceptPfsGroups: [] } });
    pair.initiator.feed({ kind: 'rekey', what: 'child' });
    pair.clock.advance(1_000);
    const refused = events(pair.responder).find(({ exchange }) => exchange === 'CREATE_CHILD_SA');
    expect(refused?.reason).toMatch(/\(here vs there: group ECP_256 vs ECP_384\)$/);
    expect(refused).toMatchObject({
      proposalLocal: 'AES_GCM_16_256/ECP_256/ESN+NO_ESN',
      proposalPeer: 'AES_GCM_16_256/ECP_384/ESN+NO_ESN',
    });
  });

  test('that failed to authenticate: by which notify', () => {
    const { initiator, responder } = settled({ initiator: { psk: Secret.fromText('another-key-0123456789') } });
    expect(events(initiator)[1]).toMatchObject({ exchange: 'IKE_AUTH', notifyReceived: 'AUTHENTICATION_FAILED' });
    expect(events(responder)[1]).toMatchObject({ exchange: 'IKE_AUTH', notifySent: 'AUTHENTICATION_FAILED' });
  });

  test('that nobody answered: what we offered', () => {
    const pair = new IkePair({ crypto: quickCrypto });
    pair.network.middlebox = () => undefined;
    pair.start();
    pair.clock.advance(10_000);
    expect(events(pair.initiator)[0]).toMatchObject({ result: 'timeout', proposalLocal: IKE_256, proposalPeer: '' });
  });
});

function settled(options: PairOptions): IkePair {
  const pair = new IkePair({ crypto: quickCrypto, ...options }).start();
  pair.clock.advance(5_000);
  return pair;
}

const events = (host: IkeHost): IkeHistoryEvent[] => host.all('history').map(({ event }) => event);
