import { describe, expect, it } from 'vitest';
import { formatPrefix, prefix } from '../../../src/lib/ip.ts';
import { AnnouncedPrefixes } from '../../../src/rib/index.ts';

const [P, Q, R] = [prefix('52.96.0.0/14'), prefix('40.96.0.0/13'), prefix('20.20.32.0/19')];
const [ZONE1, ZONE2] = ['zone1', 'zone2'];

describe('AnnouncedPrefixes', () => {
  it('holds each prefix once, and while a second peer announces it still', () => {
    const { announced, held } = twoPeers();
    announced.announce(ZONE1, [P]);
    announced.announce(ZONE2, [P, Q]);
    expect(held()).toEqual([P, Q].map(formatPrefix));
    announced.withdraw(ZONE1, [P]);
    expect(held()).toContain(formatPrefix(P));
    announced.withdraw(ZONE2, [P]);
    expect(held()).toEqual([formatPrefix(Q)]);
  });

  it('outlives the session, and a withdrawal by a peer that lives on', () => {
    const { announced, held } = twoPeers();
    announced.announce(ZONE1, [P]);
    announced.announce(ZONE2, [P]);
    announced.sessionLost(ZONE1);
    announced.withdraw(ZONE2, [P]);
    expect(held()).toEqual([formatPrefix(P)]);
  });

  it('drops what the next session does not tell, and not before it has told its whole table', () => {
    const { announced, held } = twoPeers();
    announced.announce(ZONE1, [P, Q]);
    announced.sessionLost(ZONE1);
    announced.announce(ZONE1, [P]);
    expect(held()).toHaveLength(2);
    announced.tableComplete(ZONE1);
    expect(held()).toEqual([formatPrefix(P)]);
  });

  it('counts a prefix told by the session before as told anew only when it is', () => {
    const { announced, held } = twoPeers();
    announced.announce(ZONE1, [P]);
    announced.sessionLost(ZONE1);
    announced.tableComplete(ZONE1);
    expect(held()).toEqual([]);
  });

  it('believes an earlier run until every peer has told its table', () => {
    const { announced, held } = twoPeers();
    announced.recall([P, R]);
    announced.announce(ZONE1, [P]);
    announced.tableComplete(ZONE1);
    expect(held().sort()).toEqual([P, R].map(formatPrefix).sort());
    announced.tableComplete(ZONE2);
    expect(held()).toEqual([formatPrefix(P)]);
  });

  it('believes an earlier run while there is no peer', () => {
    const announced = new AnnouncedPrefixes();
    announced.recall([P]);
    expect(announced.prefixes()).toEqual([P]);
  });

  it('keeps what a replaced peer announced until the new one has told its table', () => {
    const { announced, held } = twoPeers();
    announced.announce(ZONE1, [P, Q]);
    announced.tableComplete(ZONE1);
    announced.tableComplete(ZONE2);
    announced.removePeer(ZONE1);
    announced.addPeer(ZONE1, 10);
    expect(held()).toHaveLength(2);
    announced.announce(ZONE1, [Q]);
    announced.tableComplete(ZONE1);
    expect(held()).toEqual([formatPrefix(Q)]);
  });

  it('drops what a peer announced that is gone for good', () => {
    const { announced, held } = twoPeers();
    announced.announce(ZONE1, [P]);
    announced.announce(ZONE2, [Q]);
    announced.tableComplete(ZONE2);
    announced.removePeer(ZONE1);
    expect(held()).toEqual([formatPrefix(Q)]);
  });

  it('stays bounded while sessions come and go with other prefixes each, and forgets the oldest first', () => {
    const { announced, held } = twoPeers();
    for (let i = 0; i < 100; i++) {
      announced.announce(ZONE1, [prefix(`10.${i}.0.0/16`), P]);
      announced.sessionLost(ZONE1);
    }
    expect(held()).toHaveLength(20);
    expect(held()).toEqual(expect.arrayContaining([formatPrefix(P), '10.99.0.0/16']));
    expect(held()).not.toContain('10.0.0.0/16');
  });

  it('knows nothing of peers that nobody added', () => {
    const { announced, held } = twoPeers();
    announced.announce('zone3', [P]);
    announced.withdraw('zone3', [P]);
    announced.tableComplete('zone3');
    announced.sessionLost('zone3');
    announced.removePeer('zone3');
    expect(held()).toEqual([]);
  });
});

function twoPeers() {
  const announced = new AnnouncedPrefixes();
  announced.addPeer(ZONE1, 10);
  announced.addPeer(ZONE2, 10);
  return { announced, held: () => announced.prefixes().map(formatPrefix) };
}
