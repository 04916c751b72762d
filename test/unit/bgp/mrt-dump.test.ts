import { describe, expect, it } from 'vitest';
import { tableDump } from '../../../src/bgp/mrt.ts';
import type { PathAttributes } from '../../../src/bgp/types.ts';
import { concat, toHex } from '../../../src/lib/bytes.ts';
import { ip, prefix, prefixKey } from '../../../src/lib/ip.ts';

const ATTRIBUTES: PathAttributes = {
  origin: 'igp',
  asPath: [{ type: 'sequence', asns: [4_200_000_001] }],
  nextHop: ip('169.254.21.2'),
  med: undefined,
  localPref: undefined,
  atomicAggregate: false,
  aggregator: undefined,
  communities: [],
  largeCommunities: [],
  extendedCommunities: [],
  onlyToCustomer: undefined,
  unknown: [{ flags: 0xe0, type: 99, bytes: Uint8Array.of(0xaa) }],
};
const PEERS = [{ address: ip('169.254.21.2'), routerId: ip('192.0.2.1'), asn: 65476 }];

describe('tableDump', () => {
  it('begins with the peers, then has a record for each prefix (RFC 6396 §4.3)', () => {
    const entry = { peer: 0, originatedAt: 0x0102_0304, attributes: ATTRIBUTES };
    const dump = tableDump(0x5f5e_1000, ip('192.0.2.10'), PEERS, [
      { prefix: prefixKey(prefix('52.96.0.0/14')), entries: [entry] },
    ]);
    expect(toHex(concat(...dump))).toBe(
      [
        '5f5e1000 000d 0001 00000015', // time, TABLE_DUMP_V2, PEER_INDEX_TABLE, length
        'c000020a 0000 0001', // collector, no view name, one peer
        '02 c0000201 a9fe1502 0000ffc4', // IPv4 with a four-octet AS: identifier, address, AS
        '5f5e1000 000d 0002 00000029', // RIB_IPV4_UNICAST
        '00000000 0e 3460 0001', // sequence, prefix, one entry
        '0000 01020304 0018', // peer, time, octets of attributes
        '40010100 4002060201fa56ea01 400304a9fe1502 e06301aa', // the last one unknown: passed on
      ]
        .join('')
        .replaceAll(' ', ''),
    );
  });

  it('comes in pieces, each made when it is asked for', () => {
    let asked = 0;
    const routes = function* () {
      for (; asked < 100_000; asked++) yield { prefix: prefixKey(prefix('52.96.0.0/14')), entries: [] };
    };
    const pieces = tableDump(0, ip('192.0.2.10'), PEERS, routes());
    pieces.next();
    expect(asked).toBeGreaterThan(100);
    expect(asked).toBeLessThan(5_000);
  });
});
