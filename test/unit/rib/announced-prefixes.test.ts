import { describe, expect, it } from 'vitest';
import { formatPrefix, prefix } from '../../../src/lib/ip.ts';
import { RibDriver } from './rib-driver.ts';

const [P, Q, R] = [prefix('52.96.0.0/14'), prefix('40.96.0.0/13'), prefix('20.20.32.0/19')];
const [ZONE1, ZONE2] = ['zone1', 'zone2'];

describe('what was announced', () => {
  it('holds each prefix once, and while a second peer announces it still', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    driver.announce(ZONE1, [P]);
    driver.announce(ZONE2, [P, Q]);
    expect(driver.held()).toEqual([P, Q].map(formatPrefix).sort());
    driver.withdraw(ZONE1, [P]);
    expect(driver.held()).toContain(formatPrefix(P));
    driver.withdraw(ZONE2, [P]);
    expect(driver.held()).toEqual([formatPrefix(Q)]);
  });

  it('outlives the session, and a withdrawal by a peer that lives on', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    driver.announce(ZONE1, [P]);
    driver.announce(ZONE2, [P]);
    driver.rib.sessionLost(ZONE1);
    driver.withdraw(ZONE2, [P]);
    expect(driver.held()).toEqual([formatPrefix(P)]);
  });

  it('drops what the next session does not tell, and not before it has told its whole table', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    driver.announce(ZONE1, [P, Q]);
    driver.rib.sessionLost(ZONE1);
    driver.announce(ZONE1, [P]);
    expect(driver.held()).toHaveLength(2);
    driver.rib.tableComplete(ZONE1);
    expect(driver.held()).toEqual([formatPrefix(P)]);
  });

  it('counts a prefix told by the session before as told anew only when it is', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    driver.announce(ZONE1, [P]);
    driver.rib.sessionLost(ZONE1);
    driver.rib.tableComplete(ZONE1);
    expect(driver.held()).toEqual([]);
  });

  it('believes an earlier run until every peer has told its table', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    driver.rib.recall([P, R]);
    driver.announce(ZONE1, [P]);
    driver.rib.tableComplete(ZONE1);
    expect(driver.held()).toEqual([P, R].map(formatPrefix).sort());
    driver.rib.tableComplete(ZONE2);
    expect(driver.held()).toEqual([formatPrefix(P)]);
  });

  it('believes an earlier run while there is no peer', () => {
    const driver = new RibDriver();
    driver.rib.recall([P]);
    expect(driver.held()).toEqual([formatPrefix(P)]);
  });

  it('keeps what a replaced peer announced until the new one has told its table', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    driver.announce(ZONE1, [P, Q]);
    driver.rib.tableComplete(ZONE1);
    driver.rib.tableComplete(ZONE2);
    driver.rib.removePeer(ZONE1);
    driver.rib.addPeer(ZONE1, 10);
    expect(driver.held()).toHaveLength(2);
    driver.announce(ZONE1, [Q]);
    driver.rib.tableComplete(ZONE1);
    expect(driver.held()).toEqual([formatPrefix(Q)]);
  });

  it('drops what a peer announced that is gone for good', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    driver.announce(ZONE1, [P]);
    driver.announce(ZONE2, [Q]);
    driver.rib.tableComplete(ZONE2);
    driver.rib.removePeer(ZONE1);
    expect(driver.held()).toEqual([formatPrefix(Q)]);
  });

  it('stays bounded while sessions come and go with other prefixes each, and forgets the oldest first', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    for (let i = 0; i < 100; i++) {
      driver.announce(ZONE1, [prefix(`10.${i}.0.0/16`), P]);
      driver.rib.sessionLost(ZONE1);
    }
    const held = driver.held();
    expect(held.length).toBeLessThan(30);
    expect(held).toEqual(expect.arrayContaining([formatPrefix(P), '10.99.0.0/16']));
    expect(held).not.toContain('10.0.0.0/16');
  });

  it('knows nothing of peers that nobody added', () => {
    const driver = new RibDriver(ZONE1, ZONE2);
    driver.announce('zone3', [P]);
    driver.withdraw('zone3', [P]);
    driver.rib.tableComplete('zone3');
    driver.rib.sessionLost('zone3');
    driver.rib.removePeer('zone3');
    expect(driver.held()).toEqual([]);
  });
});
