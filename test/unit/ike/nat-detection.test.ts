import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import {
  chooseEncapsulation,
  detectNat,
  natDetectionHash,
  natDetectionNotifies,
} from '../../../src/ike/nat-detection.ts';
import { decodeMessage } from '../../../src/ike/wire/message.ts';
import { fromHex, toHex } from '../../../src/lib/bytes.ts';
import { ip } from '../../../src/lib/ip.ts';
import { GOLDEN } from './golden.ts';

const BRANCH = { address: ip('192.0.2.10'), port: 500 };
const PUBLIC = { address: ip('203.0.113.9'), port: 40_123 };
const GATEWAY = { address: ip('198.51.100.20'), port: 500 };
const SPIS = { spiI: fromHex('0102030405060708'), spiR: fromHex('1112131415161718') };

/** What the gateway finds when the branch sends from `seenAs`. */
function gatewayFinds(encapsulation: 'udp' | 'auto', seenAs = BRANCH) {
  const notifies = natDetectionNotifies(nodeCrypto, SPIS, BRANCH, GATEWAY, encapsulation);
  return detectNat(nodeCrypto, SPIS, GATEWAY, seenAs, notifies);
}

describe('NAT detection', () => {
  test('hashes what strongSwan hashes', () => {
    for (const golden of GOLDEN) {
      const decoded = decodeMessage(fromHex(golden.ike_sa_init_response));
      if (!decoded.ok) throw decoded.error;
      const hash = natDetectionHash(nodeCrypto, { spiI: fromHex(golden.spi_i), spiR: fromHex(golden.spi_r) }, BRANCH);
      const sent = decoded.value.payloads.flatMap((p) => (p.kind === 'notify' ? [toHex(p.data)] : []));
      expect(sent).toContain(toHex(hash));
    }
  });

  test('no NAT: both hashes fit', () => {
    expect(gatewayFinds('auto')).toEqual({ local: false, remote: false, remoteForced: false });
  });

  test('a rewritten source is a NAT in front of the remote end', () => {
    expect(gatewayFinds('auto', PUBLIC)).toEqual({ local: false, remote: true, remoteForced: false });
  });

  test('a rewritten destination is a NAT in front of the local end', () => {
    const notifies = natDetectionNotifies(nodeCrypto, SPIS, GATEWAY, PUBLIC, 'auto');
    expect(detectNat(nodeCrypto, SPIS, BRANCH, GATEWAY, notifies)).toMatchObject({ local: true, remote: false });
  });

  test('forced encapsulation is told apart from a NAT', () => {
    expect(gatewayFinds('udp')).toEqual({ local: false, remote: false, remoteForced: true });
  });

  test('a peer without NAT detection found no NAT', () => {
    expect(detectNat(nodeCrypto, SPIS, BRANCH, GATEWAY, [])).toEqual({
      local: false,
      remote: false,
      remoteForced: false,
    });
  });

  test.each([
    ['auto', { local: false, remote: false, remoteForced: false }, 'esp'],
    ['auto', { local: true, remote: false, remoteForced: false }, 'udp'],
    ['auto', { local: false, remote: true, remoteForced: false }, 'udp'],
    ['auto', { local: false, remote: false, remoteForced: true }, 'udp'],
    ['udp', { local: false, remote: false, remoteForced: false }, 'udp'],
  ] as const)('wanting %s and finding %o means %s', (wanted, nat, encapsulation) => {
    expect(chooseEncapsulation(wanted, nat)).toBe(encapsulation);
  });
});
