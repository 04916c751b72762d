import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { ENV, issuesOf, MANUAL, REGISTERED } from './branch.ts';

/** One edit of the example, and every issue it must raise: `line:column path: message`. */
interface Mistake {
  readonly find: string;
  readonly put: string;
  readonly issues: readonly string[];
}

const mistakes = (base: string, rows: readonly (readonly [find: string, put: string, ...issues: string[]])[]) => {
  const table = rows.map(([find, put, ...issues]): Mistake => ({ find, put, issues }));
  it.each(table)('$find -> $put', ({ find, put, issues }) => {
    expect(base).toContain(find);
    expect(issuesOf(base.replace(find, put))).toEqual(issues);
  });
};

describe('shapes', () => {
  mistakes(REGISTERED, [
    ['bandwidth: 500 ', 'bandwith: 500 ', '18:5 links[0].bandwith: unknown key "bandwith": did you mean "bandwidth"?'],
    ['version: 1', 'version: 2', '1:10 version: expected 1, got 2'],
    [
      'version: 1',
      'version: 1\n__proto__: { x: 1 }',
      '2:1 __proto__: unknown key "__proto__": expected one of version, site, connectors, wans, networks, remote_network, links, ecmp, policies, probes, telemetry, crypto, debug',
    ],
    [
      'asn: 65010',
      'asn: "65010"',
      '28:12 links[0].bgp.asn: expected our AS number, a whole number from 1 to 4294967294, got "65010"',
    ],
    [
      '      asn: 65010\n',
      '',
      '24:5 links[0].bgp.asn: "asn" is missing: expected our AS number, a whole number from 1 to 4294967294',
    ],
    ['bandwidth: 500 ', 'bandwidth: 100 ', '18:16 links[0].bandwidth: expected one of 250, 500, 750, 1000, got 100'],
    [
      'device_vendor: other',
      'device_vendor: cisco',
      '20:20 links[0].device_vendor: expected one of barracudaNetworks, checkPoint, ciscoMeraki, citrix, fortinet, hpeAruba, netFoundry, nuage, openSystems, paloAltoNetworks and 12 more (see "tunwright config schema"), got "cisco"',
    ],
    [
      'region: franceCentral',
      'region: FranceCentrl',
      '14:62 remote_network.region: expected one of eastUS, eastUS2, westUS, westUS2, westUS3, centralUS, northCentralUS, southCentralUS, northEurope, westEurope and 30 more (see "tunwright config schema"), got "FranceCentrl"; did you mean "franceCentral"?',
    ],
    [
      'lifetime: 8h',
      'lifetime: 8 h',
      '21:37 links[0].ike.lifetime: expected the lifetime of the IKE SA, a duration from 10s to 30d, got "8 h"',
    ],
    [
      'lifetime: 1h,',
      'lifetime: 1h, lifetime_bytes: 100KB,',
      '22:57 links[0].ipsec.lifetime_bytes: expected what an ESP SA may carry in one direction, an amount from 1MB to 1PB in B, kB, MB, GB, TB or KiB, MiB, GiB, TiB, got "100KB"',
    ],
    [
      'encap: auto }',
      'encap: auto, fragment_size: 200 }',
      '21:112 links[0].ike.fragment_size: expected the octets of the largest IP packet with an IKE message, a whole number from 256 to 1500, got 200',
    ],
    [
      'encap: auto }',
      'encap: auto, pq: require }',
      '21:101 links[0].ike.pq: expected one of off, prefer, got "require"',
    ],
    [
      'hold: 180s',
      'hold: 180',
      '29:13 links[0].bgp.hold: expected the BGP hold time, a duration from 3s to 65535s, got 180',
    ],
    [
      'prefixes: [10.1.20.0/24]',
      'prefixes: [10.1.20.1/24]',
      '13:48 networks[0].prefixes[0]: expected a network such as 10.1.20.0/24, host bits zero, got "10.1.20.1/24"',
    ],
    [
      'local_ip: 169.254.21.1',
      'local_ip: 169.254.21.01',
      '25:17 links[0].bgp.local_ip: expected this box\'s BGP address, an IPv4 address, got "169.254.21.01"',
    ],
    [
      'interface: eth0',
      'interface: a-name-that-is-too-long',
      '11:31 wans[0].interface: expected the name of a network interface, at most 15 characters without space, "/" or ":", got "a-name-that-is-too-long"',
    ],
    [
      'graph: https://graph.microsoft.com',
      'graph: http://graph.microsoft.com',
      '9:67 connectors[0].endpoints.graph: expected the Graph endpoint, an origin such as https://graph.microsoft.com (http:// with an address only, for a lab), got "http://graph.microsoft.com"',
    ],
    [
      'replay_window: 4096',
      'replay_window: 4000',
      '22:56 links[0].ipsec.replay_window: expected one of 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768 and 1 more (see "tunwright config schema"), got 4000',
    ],
    ['to: learned', 'to: lerned', '35:34 policies[1].to: expected learned, got "lerned"; did you mean "learned"?'],
    [
      'from: [staff], to: learned',
      'from: [], to: learned',
      '35:21 policies[1].from: expected at least 1 item, got an empty list',
    ],
    [
      'links:',
      'links: none\nx:',
      '15:8 links: expected a list, got "none"',
      '16:1 x: unknown key "x": expected one of version, site, connectors, wans, networks, remote_network, links, ecmp, policies, probes, telemetry, crypto, debug',
    ],
    ['site: { name: lyon-01 }', 'site:', '2:6 site: expected a mapping of keys, got nothing'],
  ]);
});

describe('suites', () => {
  mistakes(REGISTERED, [
    [
      'suite: mix8',
      'suite: mix9',
      '21:21 links[0].ike.suite: expected one of mix1, mix2, mix3, mix4, mix5, mix6, mix7, mix8, default, got "mix9"',
    ],
    [
      'suite: mix8',
      'suite: { encryption: aes256, integrity: sha1, dh: ecp384 }',
      '21:54 links[0].ike.suite.integrity: expected one of sha256, sha384, got "sha1"',
    ],
    [
      'suite: mix8',
      'suite: { encryption: aes256, dh: ecp384 }',
      '21:14 links[0].ike.suite.integrity: "integrity" is missing: expected one of sha256, sha384',
    ],
    [
      'suite: mix6',
      'suite: { encryption: none, pfs: ecp384 }',
      '22:35 links[0].ipsec.suite.encryption: encryption "none" would send the traffic in clear through the Internet: use gcmAes256',
    ],
    [
      'suite: mix6',
      'suite: { encryption: gcmAes256, pfs: pfs1 }',
      '22:51 links[0].ipsec.suite.pfs: PFS1 is the 768-bit Diffie-Hellman group 1, which is broken in practice (RFC 8247): use ecp384, here and in Entra',
    ],
    [
      'suite: mix6',
      'suite: { encryption: gcmAes256, pfs: pfs2 }',
      '22:51 links[0].ipsec.suite.pfs: PFS2 is the 1024-bit Diffie-Hellman group 2, which is too weak (RFC 8247): use ecp384, here and in Entra',
    ],
    [
      'suite: mix6',
      'suite: { encryption: gcmAes256, pfs: pfsmm }',
      '22:51 links[0].ipsec.suite.pfs: PFSMM names no group of its own, so the two ends could differ at the first rekey: name one, such as ecp384',
    ],
    [
      'suite: mix6',
      'suite: default',
      "22:21 links[0].ipsec.suite: Microsoft's default policy cannot be registered yet in this version: name one combination, such as mix8 with mix6",
    ],
  ]);
});

describe('names', () => {
  mistakes(REGISTERED, [
    ['wan: fiber\n', 'wan: fibre\n', '17:10 links[0].wan: no WAN is named "fibre": did you mean "fiber"?'],
    [
      'steer: { wan: fiber }',
      'steer: { wan: lte }',
      '34:83 policies[0].steer.wan: no WAN is named "lte": "wans" has fiber',
    ],
    [
      'networks: [staff] }',
      'networks: [guests] }',
      '31:28 links[0].bgp.export.networks[0]: no network is named "guests": "networks" has staff',
    ],
    [
      'connector: contoso',
      'connector: fabrikam',
      '14:30 remote_network.connector: no connector of type entra-gsa is named "fabrikam": "connectors" has contoso',
    ],
    ['{ id: 20, from', '{ id: 10, from', '35:11 policies[1].id: "10" is taken by policies[0]: choose another id'],
    [
      'advertise: true',
      'advertise: false',
      '31:28 links[0].bgp.export.networks[0]: network "staff" has advertise: false: set it to true, or do not export it',
    ],
    [
      'networks:   ',
      'networks:\n  - { name: lab, interface: lan1, prefixes: [10.1.0.0/16] }\n#   ',
      '15:48 networks[1].prefixes[0]: 10.1.20.0/24 overlaps 10.1.0.0/16 of network "lab": a client must belong to one network',
    ],
  ]);
});

const SIDES =
  'local_ip is this box, peer_ip and zone_peer_ip are Microsoft (in Graph, seen from the other side, peerIpAddress and localIpAddress)';

describe('BGP', () => {
  mistakes(REGISTERED, [
    [
      'asn: 65010',
      'asn: 65476',
      '28:12 links[0].bgp.asn: AS 65476 is reserved by Global Secure Access itself and Microsoft refuses it; use another, e.g. 65010',
    ],
    [
      'hold: 180s',
      'hold: 30s',
      '29:13 links[0].bgp.hold: expected at least 180s, got 30s: a dead tunnel is noticed by DPD and probes, not by the hold time; "force: true" beside it insists',
    ],
    [
      'import: { max_prefixes: 10000 }',
      'import: { rules: [{ prefixes: [40.96.0.0/13 le 12], action: accept }] }',
      '30:38 links[0].bgp.import.rules[0].prefixes[0]: expected a network such as 40.96.0.0/13, or 40.96.0.0/13 ge 16 le 24 for those within it of these lengths, got "40.96.0.0/13 le 12"',
    ],
    [
      'import: { max_prefixes: 10000 }',
      'import: { rules: [{ communities: ["65476:70000"], action: accept }] }',
      '30:41 links[0].bgp.import.rules[0].communities[0]: expected a community such as 65476:100, got "65476:70000"',
    ],
    [
      'import: { max_prefixes: 10000 }',
      'import: { rules: [{ action: accept }, { prefixes: [40.96.0.0/13], action: reject }] }',
      '30:25 links[0].bgp.import.rules[0]: it fits every route, so that the rules after it are never reached: put it last',
    ],
    [
      'export: { networks: [staff] }',
      'export: { networks: [staff], rules: [{ action: reject, set: { med: 1 } }] }',
      '31:67 links[0].bgp.export.rules[0].set: a rejected route gets nothing: remove "set", or accept the route',
    ],
    [
      'local_ip: 169.254.21.1',
      'local_ip: 169.254.21.2',
      `26:16 links[0].bgp.peer_ip: 169.254.21.2 is also links[0].bgp.local_ip: ${SIDES}`,
    ],
    [
      'zone_peer_ip: 169.254.22.2',
      'zone_peer_ip: 169.254.21.2',
      '27:21 links[0].bgp.zone_peer_ip: 169.254.21.2 is also links[0].bgp.peer_ip: each zone of each link needs its own',
    ],
    [
      'peer_ip: 169.254.21.2',
      'peer_ip: 10.1.20.2',
      `26:16 links[0].bgp.peer_ip: 10.1.20.2 lies in 10.1.20.0/24 of network "staff": BGP addresses must be outside every LAN, e.g. in 169.254.0.0/16; if the two ends are swapped: ${SIDES}`,
    ],
    [
      'local_ip: 169.254.21.1',
      'local_ip: 10.1.20.1',
      '25:17 links[0].bgp.local_ip: 10.1.20.1 lies in 10.1.20.0/24 of network "staff": BGP addresses must be outside every LAN, e.g. in 169.254.0.0/16',
    ],
    [
      'peer_ip: 169.254.21.2',
      'peer_ip: 127.0.0.1',
      '26:16 links[0].bgp.peer_ip: 127.0.0.1 cannot be a BGP address: it is the loopback block; use a private address, e.g. 169.254.21.1',
    ],
    [
      'public_ip: auto, priority: 1 }',
      'public_ip: 169.254.21.1, priority: 1 }',
      '25:17 links[0].bgp.local_ip: 169.254.21.1 is the public address of WAN "fiber": BGP runs inside the tunnel on other addresses',
    ],
    [
      '      zone_peer_ip: 169.254.22.2\n',
      '',
      '24:5 links[0].bgp.zone_peer_ip: "zone_peer_ip" is missing: with redundancy: zone Microsoft has a BGP address in each zone; add it, or set redundancy: none',
    ],
    [
      'redundancy: zone ',
      'redundancy: none ',
      '27:7 links[0].bgp.zone_peer_ip: zone_peer_ip is used with redundancy: zone only: remove it, or set redundancy: zone',
    ],
  ]);
});

describe('a registered branch', () => {
  mistakes(REGISTERED, [
    [
      'connector: contoso, ',
      '',
      '14:1 remote_network.connector: "connector" is missing: with manage: create the remote network is registered through Microsoft Graph; name one, or use manage: manual',
    ],
    [
      'region: franceCentral, ',
      '',
      '14:1 remote_network.region: "region" is missing: with manage: create the remote network is registered through Microsoft Graph; name the Azure region next to the site',
    ],
    [
      'bandwidth: 500 ',
      '# ',
      '16:5 links[0].bandwidth: "bandwidth" is missing: expected one of 250, 500, 750, 1000 (Mbps)',
    ],
    [
      'lifetime: 1h',
      'lifetime: 5m',
      '22:37 links[0].ipsec.lifetime: expected 301s to 86400s (Microsoft accepts no other SA lifetime), got 300s',
    ],
    [
      'source: generated,',
      'source: file, files: [/psk1],',
      '23:33 links[0].psk.files: expected 2 files, zone 1 first, got 1: each zone has its own key',
    ],
    [
      'source: generated,',
      'files: [/psk1],',
      '23:12 links[0].psk.files: files are read with source: file only: remove them, or set source: file',
    ],
    [
      'secret_file: ${' + 'CREDENTIALS_DIRECTORY}/entra',
      'certificate_file: /c, key_file: /k',
      '8:17 connectors[0].credential: certificates are not supported yet in this version: use secret_file with a client secret',
    ],
    [
      '{ secret_file: ${' + 'CREDENTIALS_DIRECTORY}/entra }',
      '{ secret_file: /s, pkcs12_file: /p }',
      '8:17 connectors[0].credential: expected one kind of credential, got 2: secret_file, or certificate_file with key_file, or pkcs12_file',
    ],
  ]);
  it('has no peers by hand', () => {
    expect(issuesOf(MANUAL.replace('manage: manual', 'manage: adopt'))).toEqual([
      '33:5 links[0].peers: peers are given by hand with manage: manual only: remove them, Microsoft Graph supplies them',
    ]);
  });
});

describe('a manual branch', () => {
  const ZONE_2 =
    '      - { zone: 2, endpoint: 198.51.100.84, asn: 65476, bgp_ip: 169.254.22.2, psk_file: /etc/tunwright/psk2 }\n';
  mistakes(MANUAL, [
    [
      ZONE_2,
      '',
      '34:7 links[0].peers: no peer for zone 2: with manage: manual and redundancy: zone "peers" lists two peers, zones 1 and 2',
    ],
    [
      '{ zone: 2, endpoint',
      '{ zone: 1, endpoint',
      '34:7 links[0].peers: no peer for zone 2: with manage: manual and redundancy: zone "peers" lists two peers, zones 1 and 2',
      '35:17 links[0].peers[1].zone: zone 1 is given twice: one peer for each zone',
      '35:65 links[0].peers[1].bgp_ip: expected 169.254.21.2 as in bgp.peer_ip, got 169.254.22.2',
    ],
    [
      'bgp_ip: 169.254.21.2',
      'bgp_ip: 169.254.21.1',
      `34:65 links[0].peers[0].bgp_ip: expected 169.254.21.2 as in bgp.peer_ip, got 169.254.21.1: the two ends look swapped; ${SIDES}`,
    ],
    [
      'asn: 65476, bgp_ip: 169.254.21.2',
      'asn: 65010, bgp_ip: 169.254.21.2',
      '34:50 links[0].peers[0].asn: AS 65010 is also our own AS: both ends would be one AS; only external BGP is spoken',
    ],
    [
      ', psk_file: /etc/tunwright/psk1',
      '',
      '34:9 links[0].peers[0].psk_file: "psk_file" is missing: expected the absolute path of a file',
    ],
  ]);
});

describe('YAML', () => {
  mistakes(REGISTERED, [
    [
      '    type: entra-gsa',
      '    type: entra-gsa\n    type: defender',
      '6:5 connectors[0].type: "type" is set twice, first on line 5: keep one',
    ],
    ['site: {', '\tsite: {', '2:1 : expected spaces for indentation, got a tab: replace it by two spaces'],
    [
      'version: 1\n',
      'version: 1\n---\n',
      '3:1 : expected one YAML document, got a second one after "---": keep everything in one',
    ],
    ['site: { name', 'site: &site { name', '2:13 site: anchors ("&name") are not accepted: write the value out'],
    ['name: fiber\n', 'name: *fiber\n', '16:11 links[0].name: aliases ("*name") are not accepted: write the value out'],
    [
      'version: 1',
      'version: !!int 1\nx: !lua os.exit',
      '2:4 : YAML tags ("!…") are not accepted: write the plain value',
    ],
    ['version: 1', '? [version]\n: 1', '1:3 : expected a plain word as key, got a list, mapping or alias'],
    [
      'wan: fiber\n',
      'wan: fiber: 2\n',
      '17:10 : expected one "key: value" on this line, got a second ": ": quote the value or start a new line',
    ],
  ]);

  it.each([
    ['', '1:1 : expected a configuration, got an empty file'],
    ['# only a comment\n', '1:1 : expected a configuration, got an empty file'],
    ['- 1', '1:1 : expected a mapping of keys, got a list'],
    ['x'.repeat(1_048_577), '1:1 : expected a file of at most 1048576 octets, got 1048577 or more'],
    ['['.repeat(1_000_000), '1:33 : nested too deeply: no part of the configuration needs more than 6 levels'],
    ['- '.repeat(500_000), '1:201 : nested too deeply: no part of the configuration needs more than 6 levels'],
    ['\n'.repeat(1_000_000), '65537:1 : expected at most 65536 YAML tokens, some 10,000 lines, got more'],
  ])('refuses a hostile or empty file (%#)', (text, issue) => {
    expect(issuesOf(text)).toEqual([issue]);
  });

  it('expands no aliases, however they multiply', () => {
    const bomb = Array.from({ length: 30 }, (_, i) => `k${i}: &k${i} [*k${i - 1}, *k${i - 1}]`).join('\n');
    expect(issuesOf(bomb).length).toBe(50);
  });
});

describe('an issue', () => {
  it('shows a correct line to copy', () => {
    const result = parseConfig(REGISTERED.replace('asn: 65010', 'asn: 0').replace('hold: 180s', 'hold: 1s'), ENV);
    expect(result.ok ? [] : result.error.map((issue) => issue.example)).toEqual(['asn: 65010', 'hold: 180s']);
  });

  it('is one of at most fifty, in the order of the file', () => {
    const issues = issuesOf(Array.from({ length: 200 }, (_, i) => `key${i}: 1`).join('\n'));
    expect(issues.length).toBe(50);
    const lines = issues.map((issue) => Number(issue.split(':')[0]));
    expect(lines).toEqual([...lines].sort((a, b) => a - b));
  });

  it('quotes the file without its control codes', () => {
    expect(issuesOf(REGISTERED.replace('version: 1', 'version: 1\n"\\e[31m\\x9b": 1'))[0]).toMatch(
      /^2:1 .*: unknown key "/,
    );
    expect(issuesOf(REGISTERED.replace('version: 1', 'version: 1\n"\\e[31m\\x9b": 1')).join('')).not.toMatch(/\p{Cc}/u);
  });
});

describe('exports', () => {
  it('are refused beyond what Microsoft takes on a session', () => {
    const networks = Array.from({ length: 17 }, (_, i) => {
      const prefixes = Array.from({ length: 256 }, (_, j) => `10.${100 + i}.${j}.0/24`);
      return `  - { name: net${i}, interface: lan0, prefixes: [${prefixes.join(', ')}], advertise: true }`;
    });
    const many = REGISTERED.replace(/^networks:.*\n/m, (line) => `${line}${networks.join('\n')}\n`);
    expect(issuesOf(many)).toEqual([]);
    const all = many.replace('      export: { networks: [staff] }\n', '');
    expect(issuesOf(all)).toEqual([
      expect.stringMatching(
        /links\[0\]\.bgp: expected at most 4000 prefixes to announce, got 4353: Microsoft ends sessions with more; summarise them$/,
      ),
    ]);
  });
});
