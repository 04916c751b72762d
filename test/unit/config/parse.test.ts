import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ip, prefix } from '../../../src/lib/ip.ts';
import { ENV, issuesOf, MANUAL, parsed, REGISTERED } from './branch.ts';

describe('the documented example', () => {
  it('is accepted as a registered branch', () => {
    const config = parsed(REGISTERED);
    expect(config.remoteNetwork).toEqual({
      connector: 'contoso',
      name: 'lyon-01',
      region: 'franceCentral',
      profiles: ['m365'],
      manage: 'create',
    });
    expect(config.connectors[0]?.credential).toEqual({
      kind: 'secret',
      secretFile: '/run/credentials/tunwrightd.service/entra',
    });
    expect(config.links).toEqual([
      {
        name: 'fiber',
        wan: 'fiber',
        bandwidthMbps: 500,
        redundancy: 'zone',
        deviceVendor: 'other',
        ike: {
          suite: { name: 'mix8', proposals: [{ encryption: 'aes256', integrity: 'sha384', dhGroup: 20 }] },
          lifetimeMs: 28_800_000,
          dpdMs: 10_000,
          fragmentSize: 1_280,
          localId: 'auto',
          remoteId: 'auto',
          encap: 'auto',
          pq: 'off',
        },
        ipsec: {
          suite: { name: 'mix6', proposals: [{ encryption: 'gcmAes256', pfsGroup: 20 }] },
          lifetimeMs: 3_600_000,
          lifetimeOctets: undefined,
          lifetimePackets: undefined,
          replayWindow: 4096,
          copyDscp: false,
          esn: 'offer',
          acceptPfs: undefined,
        },
        dataPlane: { threads: 1, processors: [], busyPollUs: 0, without: [], cipher: 'openssl' },
        psk: { source: 'generated', rotateMs: 7_776_000_000, files: [] },
        weight: 1,
        mtu: 1380,
        bgp: {
          localIp: ip('169.254.21.1'),
          peerIp: ip('169.254.21.2'),
          zonePeerIp: ip('169.254.22.2'),
          asn: 65010,
          holdMs: 180_000,
          minHoldMs: 3_000,
          delayOpenMs: 0,
          prefixLimit: { prefixes: 10_000, beyond: 'restart', restartAfterMs: 900_000 },
          importRules: undefined,
          exportRules: undefined,
          echo: true,
          passive: false,
          ttlSecurityHops: undefined,
          exportNetworks: ['staff'],
        },
        peers: [],
      },
    ]);
    expect(config.policies[0]).toEqual({
      id: 10,
      from: ['staff'],
      to: { prefixes: [prefix('198.51.100.128/25')] },
      steer: { wan: 'fiber' },
      failure: 'closed',
    });
    expect(config.telemetry.prometheus).toEqual({ address: ip('127.0.0.1'), port: 9742 });
  });

  it('is accepted with peers given by hand', () => {
    expect(parsed(MANUAL).links[0]?.peers).toEqual([
      { zone: 1, endpoint: ip('198.51.100.20'), asn: 65476, bgpIp: ip('169.254.21.2'), pskFile: '/etc/tunwright/psk1' },
      { zone: 2, endpoint: ip('198.51.100.84'), asn: 65476, bgpIp: ip('169.254.22.2'), pskFile: '/etc/tunwright/psk2' },
    ]);
  });

  it('ships annotated beside the systemd unit', () => {
    const text = readFileSync(new URL('../../../systemd/config.example.yaml', import.meta.url), 'utf8');
    expect(parsed(text).networks.map((network) => network.advertise)).toEqual([true, false]);
  });

  it('needs little more than addresses', () => {
    const config = parsed(`
version: 1
site: { name: lyon-01 }
wans: [{ name: fiber, interface: eth0 }]
remote_network: { manage: manual }
links:
  - name: fiber
    wan: fiber
    redundancy: none
    bgp: { local_ip: 169.254.21.1, peer_ip: 169.254.21.2, asn: 65010 }
    peers: [{ zone: 1, endpoint: 198.51.100.20, asn: 65476, bgp_ip: 169.254.21.2, psk_file: /psk }]
`);
    expect(config.links[0]).toMatchObject({
      bandwidthMbps: 500,
      mtu: 1380,
      ike: { suite: { name: 'mix8' }, lifetimeMs: 28_800_000, dpdMs: 10_000, encap: 'auto' },
      ipsec: { suite: { name: 'mix6' }, lifetimeMs: 3_600_000, replayWindow: 4096 },
      psk: { source: 'generated', rotateMs: 7_776_000_000 },
      bgp: { holdMs: 180_000, prefixLimit: { prefixes: 10_000 }, exportNetworks: [], zonePeerIp: undefined },
    });
    expect(config.wans).toEqual([
      { name: 'fiber', interface: 'eth0', publicIp: 'auto', natSearch: 'near', priority: 1 },
    ]);
    expect(config.crypto.provider).toBe('node');
    expect(config.debug.exportKeysDir).toBeUndefined();
    expect(config.ecmp).toEqual({ resilient: true, idleMs: 60_000, rebalanceMs: undefined });
  });

  it('reads rules for what is imported and exported', () => {
    const { bgp } =
      parsed(
        MANUAL.replace(
          'import: { max_prefixes: 10000 }',
          `import:
        max_prefixes: 500
        beyond: warn
        rules:
          - { prefixes: [40.96.0.0/13, 52.96.0.0/14 le 24, 20.0.0.0/8 ge 16], action: accept, set: { preference: 200 } }
          - { as_path: { contains: 8075, longest: 3 }, communities: ["65476:100"], large_communities: ["65476:1:2"], action: reject }`,
        ).replace(
          'export: { networks: [staff] }',
          'export: { rules: [{ action: accept, set: { prepend: 2, med: 10, communities: ["65010:1"] } }] }',
        ),
      ).links[0] ?? {};
    const none = { asPath: undefined, communities: undefined, largeCommunities: undefined };
    expect(bgp?.prefixLimit).toEqual({ prefixes: 500, beyond: 'warn', restartAfterMs: 900_000 });
    expect(bgp?.importRules).toEqual([
      {
        ...none,
        prefixes: [
          { prefix: prefix('40.96.0.0/13'), ge: 13, le: 13 },
          { prefix: prefix('52.96.0.0/14'), ge: 14, le: 24 },
          { prefix: prefix('20.0.0.0/8'), ge: 16, le: 32 },
        ],
        accept: true,
        set: { preference: 200, med: undefined },
      },
      {
        prefixes: undefined,
        asPath: { contains: 8075, origin: undefined, longest: 3 },
        communities: [65476 * 65536 + 100],
        largeCommunities: [[65476, 1, 2]],
        accept: false,
        set: { preference: undefined, med: undefined },
      },
    ]);
    expect(bgp?.exportRules).toEqual([
      {
        prefixes: undefined,
        accept: true,
        set: { prepend: 2, med: 10, communities: [65010 * 65536 + 1], largeCommunities: undefined },
      },
    ]);
  });
});

describe('what replaces what', () => {
  const link = (find: string, replacement: string) => parsed(REGISTERED.replace(find, replacement)).links[0];

  it('takes suites in Graph words', () => {
    const suites = link('suite: mix8', 'suite: { encryption: gcmAes128, integrity: sha256, dh: dhGroup2048 }');
    expect(suites?.ike.suite).toEqual({
      name: 'gcmAes128-sha256-dhGroup2048',
      proposals: [{ encryption: 'gcmAes128', integrity: 'sha256', dhGroup: 14 }],
    });
    expect(link('suite: mix6', 'suite: { encryption: gcmAes192, pfs: none }')?.ipsec.suite.proposals).toEqual([
      { encryption: 'gcmAes192', pfsGroup: 'none' },
    ]);
  });

  it("offers Microsoft's default policy whole", () => {
    const both = parsed(MANUAL.replace('mix8', 'default').replace('mix6', 'default')).links[0];
    expect(both?.ike.suite.proposals.map((each) => `${each.encryption} ${each.integrity} ${each.dhGroup}`)).toEqual([
      'gcmAes256 sha384 24',
      'gcmAes128 sha256 24',
      'aes256 sha384 24',
      'aes128 sha256 24',
    ]);
    expect(both?.ipsec.suite.proposals.map((each) => `${each.encryption} ${each.pfsGroup}`)).toEqual([
      'gcmAes256 none',
      'gcmAes192 none',
      'gcmAes128 none',
    ]);
  });

  it.each([
    ['any', 'any'],
    ['203.0.113.7', { type: 'ipv4', address: ip('203.0.113.7') }],
    ['"2001:db8::7"', { type: 'ipv6', address: ip('2001:db8::7') }],
    ['gw.example.net', { type: 'fqdn', name: 'gw.example.net' }],
    ['lyon@example.net', { type: 'rfc822', name: 'lyon@example.net' }],
  ])('reads the identity %s', (written, identity) => {
    expect(link('remote_id: auto', `remote_id: ${written}`)?.ike.remoteId).toEqual(identity);
  });

  it('accepts a short hold time only with force', () => {
    expect(link('hold: 180s', 'hold: 30s\n      force: true')?.bgp.holdMs).toBe(30_000);
  });

  it('exports every advertised network when none is named', () => {
    const more = REGISTERED.replace(
      'remote_network:',
      '  - { name: guest, interface: lan1, prefixes: [10.1.30.0/24], advertise: false }\nremote_network:',
    ).replace('      export: { networks: [staff] }\n', '');
    expect(parsed(more).links[0]?.bgp.exportNetworks).toEqual(['staff']);
  });
});

describe('file paths', () => {
  it('name the variable that is not set', () => {
    expect(issuesOf(REGISTERED, {})).toEqual([
      '8:32 connectors[0].credential.secret_file: the environment variable CREDENTIALS_DIRECTORY is not set: ' +
        'systemd sets it when the unit has LoadCredential=, or write the path out',
    ]);
  });

  it('expand several variables, in quotes too', () => {
    const config = parsed(
      REGISTERED.replace(
        /secret_file: \S+/,
        'secret_file: "/a${' + 'CREDENTIALS_DIRECTORY}/${' + 'CREDENTIALS_DIRECTORY}"',
      ),
    );
    const directory = ENV.CREDENTIALS_DIRECTORY;
    expect(config.connectors[0]?.credential).toEqual({ kind: 'secret', secretFile: `/a${directory}/${directory}` });
  });

  it('are the only place where variables count', () => {
    expect(issuesOf(REGISTERED.replace('region: franceCentral', 'region: ${' + 'CREDENTIALS_DIRECTORY}'))[0]).toContain(
      'got "${' + 'CREDENTIALS_DIRECTORY}"',
    );
  });

  it('never repeat what may be the secret itself', () => {
    const text = JSON.stringify(issuesOf(REGISTERED.replace(/secret_file: \S+/, 'secret_file: hunter2')));
    expect(text).toContain('expected the absolute path of a file');
    expect(text).not.toContain('hunter2');
  });
});
