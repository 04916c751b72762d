import { describe, expect, it } from 'vitest';
import { gatewayCommand, gatewayOrders } from '../../../src/lab/gateway/order.ts';

const CUSTOM = {
  ikeEncryption: 'aes256',
  ikeIntegrity: 'sha384',
  dhGroup: 'ecp384',
  ipSecEncryption: 'gcmAes256',
  ipSecIntegrity: 'gcmAes256',
  pfsGroup: 'ecp384',
};
const LINK = {
  id: 'ignored',
  bgpConfiguration: { asn: 65010, localIpAddress: '169.254.21.2', peerIpAddress: '169.254.21.1' },
  redundancyConfiguration: { redundancyTier: 'zoneRedundancy', zoneLocalIpAddress: '169.254.22.2' },
  tunnelConfiguration: { preSharedKey: 'key of zone 1', zoneRedundancyPreSharedKey: 'key of zone 2', ...CUSTOM },
};

describe('orders to the gateways', () => {
  it('gives each zone its own key and BGP address, and the branch the same to both', () => {
    expect(
      gatewayOrders(LINK).map(({ psk, localBgp, branchBgp, branchAsn }) => [psk, localBgp, branchBgp, branchAsn]),
    ).toEqual([
      ['key of zone 1', '169.254.21.2', '169.254.21.1', 65010],
      ['key of zone 2', '169.254.22.2', '169.254.21.1', 65010],
    ]);
  });

  it('accepts exactly the custom policy of the link', () => {
    const [order] = gatewayOrders(LINK);
    expect(order?.ike).toEqual([{ encryption: 'aes256', integrity: 'sha384', dhGroup: 20 }]);
    expect(order?.esp).toEqual([{ encryption: 'gcmAes256', pfsGroup: 20 }]);
  });

  it('accepts the default set when the link names no policy', () => {
    const tunnelConfiguration = { preSharedKey: 'key', zoneRedundancyPreSharedKey: null };
    const [order] = gatewayOrders({ ...LINK, tunnelConfiguration });
    expect(order?.ike).toHaveLength(4);
    expect(order?.esp.map((suite) => suite.pfsGroup)).toEqual(['none', 'none', 'none']);
  });

  it('has one order only without zone redundancy', () => {
    const redundancyConfiguration = { redundancyTier: 'noRedundancy', zoneLocalIpAddress: null };
    expect(gatewayOrders({ ...LINK, redundancyConfiguration })).toHaveLength(1);
  });

  it('refuses what is not a link', () => {
    expect(() => gatewayOrders({ ...LINK, bgpConfiguration: undefined })).toThrow(/bgpConfiguration/);
  });

  it('survives the way through a gateway’s standard input', () => {
    for (const order of gatewayOrders(LINK)) {
      expect(gatewayCommand.parse(JSON.parse(JSON.stringify(order)))).toEqual(order);
    }
    expect(gatewayCommand.safeParse({ command: 'serve', psk: '' }).success).toBe(false);
  });
});
