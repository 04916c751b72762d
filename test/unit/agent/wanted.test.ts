import { describe, expect, it } from 'vitest';
import { wantedRemoteNetwork } from '../../../src/agent/wanted.ts';
import { ip } from '../../../src/lib/ip.ts';
import { err, ok } from '../../../src/lib/result.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { MANUAL, parsed, REGISTERED } from '../config/branch.ts';

const facts = ok({
  publicIp: ip('203.0.113.9'),
  psks: [Secret.fromText('one'), Secret.fromText('two')],
  psksAreFresh: false,
});

describe('wantedRemoteNetwork', () => {
  it('says the configuration in the words of Graph', () => {
    expect(wantedRemoteNetwork(parsed(REGISTERED), () => facts)).toEqual(
      ok({
        name: 'lyon-01',
        region: 'franceCentral',
        profiles: ['m365'],
        manage: 'create',
        links: [
          {
            name: 'fiber',
            cpePublicIp: ip('203.0.113.9'),
            bandwidthMbps: 500,
            deviceVendor: 'other',
            redundancy: 'zone',
            cpeAsn: 65010,
            cpeBgpAddress: ip('169.254.21.1'),
            msftBgpAddress: ip('169.254.21.2'),
            msftZoneBgpAddress: ip('169.254.22.2'),
            ike: { ikeEncryption: 'aes256', ikeIntegrity: 'sha384', dhGroup: 'ecp384' },
            ipsec: { ipSecEncryption: 'gcmAes256', ipSecIntegrity: 'gcmAes256', pfsGroup: 'ecp384' },
            saLifetimeSec: 3600,
            psks: facts.value.psks,
            psksAreFresh: false,
          },
        ],
      }),
    );
  });

  it('translates another suite', () => {
    const wanted = wantedRemoteNetwork(parsed(REGISTERED.replace('suite: mix8', 'suite: mix1')), () => facts);
    const ike = { ikeEncryption: 'aes128', ikeIntegrity: 'sha256', dhGroup: 'ecp256' };
    expect(wanted.ok && wanted.value.links[0]?.ike).toEqual(ike);
  });

  it('passes on why a link cannot be registered yet', () => {
    const reason = err('link fiber: WAN fiber has no IPv4 address yet');
    expect(wantedRemoteNetwork(parsed(REGISTERED), () => reason)).toEqual(reason);
  });

  it('has nothing to register when the far ends are managed by hand', () => {
    const wanted = wantedRemoteNetwork(parsed(MANUAL), () => facts);
    expect(wanted.ok ? '' : wanted.error).toContain('managed by hand');
  });
});
