import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type AdminServer, startAdminServer } from '../../../src/admin/server.ts';
import type { NatView } from '../../../src/admin/wire.ts';
import { event } from '../admin/fake-views.ts';
import { REGISTERED } from '../config/branch.ts';
import { type FakeIoOptions, tunwright } from './fake-io.ts';
import { Site } from './site.ts';

let directory: string;
let socketPath: string;
let site: Site;
let server: AdminServer;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tw-cli-'));
  socketPath = join(directory, 'tunwright.sock');
  site = new Site();
  const peerCredentials = () => ({ pid: 1, uid: 0, gid: 0 });
  const started = await startAdminServer({
    socketPath,
    views: site,
    peerCredentials,
    ownUid: 0,
    onError: () => undefined,
  });
  if (!started.ok) throw new Error(started.error);
  server = started.value;
});

afterEach(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

describe('bgp mrt', () => {
  it('writes the file when all of it has come', async () => {
    const file = join(directory, 'table.mrt');
    expect(await daemon(`bgp mrt ${file}`)).toEqual({ exitCode: 0, error: '', out: '' });
    expect([...readFileSync(file)]).toEqual([1, 2, 3]);
  });

  it('leaves what is there alone when the daemon fails in between, or the place cannot be written to', async () => {
    const file = join(directory, 'table.mrt');
    writeFileSync(file, 'old');
    site.pieces = function* () {
      yield new Uint8Array(100_000);
      throw new Error('a bug');
    };
    const { exitCode, error } = await daemon(`bgp mrt ${file}`);
    expect([exitCode, readFileSync(file, 'utf8')]).toEqual([3, 'old']);
    expect(error).toContain('it stopped while answering');
    expect(readdirSync(directory).filter((name) => name.startsWith('table'))).toEqual(['table.mrt']);
    expect((await daemon(`bgp mrt ${join(directory, 'no', 'table.mrt')}`)).error).toMatch(/cannot write .*ENOENT/);
  });
});

describe('capture', () => {
  it('asks for what the options say, and writes the file', async () => {
    const file = join(directory, 'outer.pcapng');
    expect(await daemon(`capture outer ${file} -t fiber/1 -s 3 -n 5 --snap 64`)).toEqual({
      exitCode: 0,
      error: '',
      out: '',
    });
    expect([...readFileSync(file)]).toEqual([1, 2, 3]);
    expect(site.captureRequest).toEqual({ tunnel: 'fiber/1', side: 'outer', seconds: 3, packets: 5, snap: 64 });
  });

  it('passes on why it cannot', async () => {
    const file = join(directory, 'inner.pcapng');
    expect(await daemon(`capture inner ${file} -t fiber/9`)).toMatchObject({ exitCode: 4 });
    const { error } = await daemon(`capture inner ${file} -s 99999`);
    expect(error).toContain('seconds: expected a whole number from 1 to 3600, got "99999"');
    expect(readdirSync(directory).filter((name) => name.startsWith('inner'))).toEqual([]);
  });
});

describe('status', () => {
  it('shows a degraded site on one screen and exits 7', async () => {
    site.health = 'degraded';
    expect(await daemon('status')).toEqual({
      exitCode: 7,
      error: '',
      out: `\
lyon-01  ! degraded   registered as "lyon-01" in contoso   since 3d 04:11   version 0.1.0
LINK   ZONE  TUNNEL  ENDPOINT       IKE     ESP     BGP     PFX  TX/RX
fiber  1     tw0     198.51.100.20  ● 2h    ● 31m   ● 3d     25  8.40 kB / 19.6 MB
fiber  2     tw1     198.51.100.84  ✘ idle  ✘ idle  ✘ idle    0  0 B / 0 B
✘ fiber/2 broken at ike: the peer refused our proposal (NO_PROPOSAL_CHOSEN): it expects another suite than mix8
WAN fiber: eth0 192.168.1.2, behind NAT, outside 203.0.113.10:61234, port rewritten, using 4500
Alarm critical tunnel-down: zone 2 of fiber is down (4m ago)
`,
    });
  });

  it.each([
    ['ok', 0, '● healthy'],
    ['degraded', 7, '! degraded'],
    ['down', 8, '✘ down'],
  ] as const)('of a site that is %s exits %i', async (health, exitCode, words) => {
    site.health = health;
    const result = await daemon('status');
    expect(result.exitCode).toBe(exitCode);
    expect(result.out).toContain(words);
    expect((await daemon('status -o json')).exitCode).toBe(exitCode);
  });

  it('shows round-trip time and loss once they are measured', async () => {
    site.tunnels = site.tunnels.map((tunnel) => ({ ...tunnel, rtt_ms: tunnel.zone === 1 ? 11.4 : null, loss: 0.015 }));
    expect((await daemon('status')).out.split('\n').slice(1, 4)).toEqual([
      'LINK   ZONE  TUNNEL  ENDPOINT       IKE     ESP     BGP     PFX   RTT  LOSS  TX/RX',
      'fiber  1     tw0     198.51.100.20  ● 2h    ● 31m   ● 3d     25  11ms  1.5%  8.40 kB / 19.6 MB',
      'fiber  2     tw1     198.51.100.84  ✘ idle  ✘ idle  ✘ idle    0     -  1.5%  0 B / 0 B',
    ]);
  });

  it.each<[string, Partial<NatView>[], string]>([
    [
      'the mapping of each tunnel',
      [{}, { outside: '203.0.113.10:50211' }],
      '203.0.113.10:61234 and 203.0.113.10:50211,',
    ],
    [
      'a NAT that keeps ports',
      [{ outside: '203.0.113.10:500', port_rewritten: false }],
      '203.0.113.10:500, using 4500',
    ],
    ['that port 500 does not get through', [{ inside_port: 4500 }], 'port rewritten, using 4500 only'],
    [
      'that nobody knows the outside address',
      [{ outside: null, port_rewritten: null }],
      'behind NAT, outside address unknown, using 4500',
    ],
  ])('says of the NAT %s', async (_, nats, words) => {
    const [up] = site.tunnels;
    if (up === undefined) throw new Error('the site has no tunnel');
    site.tunnels = nats.map((nat) => ({ ...up, ike: { ...up.ike, nat: { ...up.ike.nat, ...nat } } }));
    expect((await daemon('status')).out).toContain(words);
  });

  it('shows the address of a WAN whose tunnels have not found a NAT', async () => {
    site.tunnels = [];
    expect((await daemon('status')).out).toContain('WAN fiber: eth0 203.0.113.10 (behind NAT, here 192.168.1.2)\n');
  });

  it('is the same text with colour on a terminal', async () => {
    const plain = await daemon('status');
    const coloured = await daemon('status', { isTerminal: true });
    expect(coloured.out).toContain('\u001b[32m');
    expect(stripVTControlCharacters(coloured.out)).toBe(plain.out);
    expect((await daemon('status', { isTerminal: true, env: { NO_COLOR: '1' } })).out).toBe(plain.out);
  });
});

describe('tables', () => {
  it('ike history, with what the peer said made harmless', async () => {
    expect((await daemon('ike history --tunnel fiber/1 --limit 2')).out).toBe(`\
WHEN     TUNNEL   EXCHANGE         DIR  ID  RESULT   TOOK  PEER           PROPOSAL / REASON
42s ago  fiber/1  CREATE_CHILD_SA  out   7  ok      25 ms  198.51.100.20  AES-GCM-256 P-384
10m ago  fiber/2  IKE_SA_INIT      out   0  failed  25 ms  198.51.100.84  NO_PROPOSAL_CHOSEN:  [31mthe peer expects ano…
  ours      AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384
  received  NO_PROPOSAL_CHOSEN
`);
    expect(site.historyFilter).toEqual({ tunnel: 'fiber/1', limit: 2 });
  });

  it('ike sa', async () => {
    expect((await daemon('ike sa')).out).toBe(`\
TUNNEL   STATE        ENDPOINT       AGE  REKEY IN  NAT   SPI I / R                            SUITE
fiber/1  established  198.51.100.20   2h        5h  here  0011223344556677 / 8899aabbccddeeff  AES-CBC-256 HMAC-SHA2-38…
fiber/2  idle         198.51.100.84    -         -  -     - / -                                -
`);
  });

  it('ipsec sa', async () => {
    expect((await daemon('ipsec sa')).out).toBe(`\
TUNNEL       SPI IN / OUT         AGE        REKEY  PACKETS OUT / IN  BYTES OUT / IN     ENCAP     SUITE, GAPS, DROPS
fiber/1 tw0  c1c2c3c4 / cee78125  31m  25m 12.3 GB  96 / 14020        8.40 kB / 19.6 MB  udp 1380  AES-GCM-256, 3 replay
`);
  });

  it('bgp summary', async () => {
    expect((await daemon('bgp summary')).out).toBe(`\
NEIGHBOR      TUNNEL          AS  STATE        UP  RCVD  ACC  ADV  MSG IN/OUT  LAST ERROR
169.254.21.2  fiber/1 tw0  65476  established  3d    25   25    1  4600/4590   -
169.254.22.2  fiber/2 tw1  65476  active        -     0    0    0  4600/4590   hold timer expired
`);
  });

  it('bgp neighbor', async () => {
    expect((await daemon('bgp neighbor 169.254.21.2')).out).toBe(`\
Neighbor      169.254.21.2, AS 65476
Local         169.254.21.1, AS 65010
Tunnel        fiber/1 on tw0
State         established, up 3d
Hold time     180s, keepalive 60s (configured 180s)
Capabilities  ipv4-unicast, route-refresh, 4-octet-asn
Prefixes      25 received, 25 accepted, 1 advertised
Messages      4600 in, 4590 out
Updates       3 in, 1 out
Established   1 times
Last error    none
`);
  });

  it('bgp received', async () => {
    expect((await daemon('bgp received 169.254.21.2')).out).toBe(`\
PREFIX           NEXT HOP      ORIGIN  MED  AGE  ACCEPTED  AS PATH / REASON
13.107.6.152/31  169.254.21.2  igp       -   3d  yes       65476
`);
  });

  it('bgp advertised', async () => {
    expect((await daemon('bgp advertised 169.254.21.2')).out).toBe(`\
PREFIX        NEXT HOP      ORIGIN  AS PATH
10.1.20.0/24  169.254.21.1  igp     65010
`);
  });

  it('route show', async () => {
    expect((await daemon('route show')).out).toBe(`\
PREFIX           VIA  PATHS  NEIGHBORS
13.107.6.152/31  tw0    1/2  169.254.21.2 (169.254.22.2)
27 of 27 routes in the kernel
`);
  });

  it('route get', async () => {
    expect((await daemon('route get 13.107.6.152')).out).toBe(`\
Prefix  13.107.6.152/31
Via     tw0
Path    169.254.21.2 through fiber/1 on tw0, 1 AS, origin igp, MED 0
Lost    169.254.22.2 through fiber/2 on tw1, 2 AS, origin igp, MED 0: AS path of 2 is longer than 1
`);
  });

  it('are at most 120 columns wide', async () => {
    const commands = [
      'status',
      'ike history',
      'ike sa',
      'ipsec sa',
      'bgp summary',
      'bgp received 169.254.21.2',
      'route show',
    ];
    for (const command of commands) {
      const { out } = await daemon(command);
      const isTableLine = (line: string) => !/^(✘|Alarm|WAN)/.test(line);
      expect(
        Math.max(
          ...out
            .split('\n')
            .filter(isTableLine)
            .map((line) => line.length),
        ),
      ).toBeLessThanOrEqual(120);
    }
  });
});

describe('-o', () => {
  it.each(['status', 'ike sa', 'ike history', 'ipsec sa', 'bgp summary', 'event', 'version'])(
    '%s prints JSON and YAML alike',
    async (command) => {
      site.log.push(event(1));
      const json = await daemon(`${command} -o json`);
      const yaml = await daemon(`${command} -o yaml`);
      expect(parse(yaml.out)).toEqual(JSON.parse(json.out));
    },
  );

  it('gives the JSON of the API unchanged', async () => {
    expect(JSON.parse((await daemon('status -o json')).out)).toEqual(site.status());
  });

  it('leaves no control characters in JSON', async () => {
    site.log.push(event(1, 'a\u009b31mb\u007f'));
    const { out } = await daemon('event -o json');
    expect(out).not.toMatch(/[\u007f-\u009f]/);
    expect(JSON.parse(out)[0].message).toBe('a\u009b31mb\u007f');
  });
});

describe('-w', () => {
  it('polls until interrupted and exits with the last state', async () => {
    let polls = 0;
    const result = await daemon('status -w -o json', {
      onSleep: (io) => {
        site.health = 'down';
        if (++polls === 2) io.interrupt();
      },
    });
    expect(result.exitCode).toBe(8);
    expect(
      result.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).health),
    ).toEqual(['ok', 'down']);
  });

  it('follows events as they happen and ends with the daemon', async () => {
    site.log.push(event(1));
    const following = daemon('event -w');
    while (site.listeners.size === 0) await new Promise((resolve) => setImmediate(resolve));
    site.emit(event(2, 'a tunnel came up'));
    await new Promise((resolve) => setImmediate(resolve));
    await server.close();
    const { exitCode, out, error } = await following;
    expect(out).toBe(
      '2026-11-22T08:00:00.000Z    4h ago  fiber/1   tunnel-up         event 1\n' +
        '2026-11-22T08:00:00.000Z    4h ago  fiber/1   tunnel-up         a tunnel came up\n',
    );
    expect(exitCode).toBe(3);
    expect(error).toContain('it stopped while answering');
  });
});

describe('exit codes', () => {
  const OTHER = '/nowhere/tunwright.sock';
  it('3 with what to do when the daemon does not run', async () => {
    expect(await tunwright('status', { env: { TUNWRIGHT_SOCKET: OTHER } })).toEqual({
      exitCode: 3,
      out: '',
      error: `tunwright: tunwrightd does not answer at ${OTHER} (no such file): start it with \`systemctl start tunwrightd\`, or name another socket with --socket\n`,
    });
  });

  it('3 when only the socket of a dead daemon is left', async () => {
    const file = join(directory, 'dead.sock');
    writeFileSync(file, '');
    expect(await tunwright(`status --socket ${file}`)).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining('a socket is there, but nobody listens'),
    });
  });

  it('4 for a neighbour that does not exist', async () => {
    for (const command of ['bgp neighbor 169.254.99.2', 'bgp received 169.254.99.2', 'bgp advertised 169.254.99.2']) {
      expect(await daemon(command)).toMatchObject({
        exitCode: 4,
        error: 'tunwright: no BGP neighbour has the address 169.254.99.2: there are 169.254.21.2, 169.254.22.2\n',
      });
    }
  });

  it('4 for an address that no route leads to', async () => {
    expect(await daemon('route get 192.0.2.1')).toMatchObject({
      exitCode: 4,
      error: expect.stringContaining('no neighbour has announced a prefix that holds 192.0.2.1'),
    });
  });

  it('2 for what the command line or the API cannot take', async () => {
    expect(await daemon('ike history --limit 0')).toMatchObject({
      exitCode: 2,
      error: 'tunwright: limit: expected a whole number from 1 to 1000, got "0"\n',
    });
    expect(await tunwright('stauts')).toMatchObject({
      exitCode: 2,
      error: expect.stringContaining('Did you mean status?'),
    });
    expect((await tunwright('status -o xml')).exitCode).toBe(2);
    expect((await tunwright('status extra')).exitCode).toBe(2);
    expect((await tunwright('bgp received')).exitCode).toBe(2);
    expect((await tunwright('')).exitCode).toBe(2);
  });

  it('0 for help', async () => {
    expect(await tunwright('--help')).toMatchObject({ exitCode: 0, out: expect.stringContaining('Usage: tunwright') });
  });

  it('1 when something else listens there', async () => {
    const file = join(directory, 'other.sock');
    const other = await listening(file, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
    expect(await tunwright(`status --socket ${file}`)).toMatchObject({
      exitCode: 1,
      error: `tunwright: ${file} answered something else than JSON: is it tunwrightd's socket?\n`,
    });
    other.close();
  });
});

describe('--socket', () => {
  it('counts before the environment, before and behind the command', async () => {
    const env = { TUNWRIGHT_SOCKET: '/nowhere' };
    expect((await tunwright(`--socket ${socketPath} status`, { env })).exitCode).toBe(0);
    expect((await tunwright(`status --socket ${socketPath}`, { env })).exitCode).toBe(0);
  });
});

describe('config', () => {
  it('validate accepts a good file without the daemon', async () => {
    expect(await tunwright('config validate /c.yaml', { files: { '/c.yaml': REGISTERED } })).toEqual({
      exitCode: 0,
      out: '/c.yaml is valid.\n',
      error: '',
    });
  });

  it('validate shows each mistake with its place and exits 11', async () => {
    const files = { '/c.yaml': REGISTERED.replace('asn: 65010', 'asn: 70000').replace('bandwidth', 'bandwith') };
    expect(await tunwright('config validate /c.yaml', { files })).toEqual({
      exitCode: 11,
      error: '',
      out: `\
/c.yaml:18:5: links[0].bandwith: unknown key "bandwith": did you mean "bandwidth"?
1 mistake: the daemon would refuse this file.
`,
    });
    const json = await tunwright('config validate /c.yaml -o json', { files });
    expect(json.exitCode).toBe(11);
    expect(JSON.parse(json.out)).toMatchObject({
      file: '/c.yaml',
      valid: false,
      issues: [{ line: 18, column: 5 }],
      config: null,
    });
  });

  it('validate exits 4 when there is no file', async () => {
    expect(await tunwright('config validate')).toMatchObject({
      exitCode: 4,
      error: 'tunwright: /etc/tunwright/config.yaml does not exist: name the file to check\n',
    });
  });

  it('schema prints JSON', async () => {
    const { exitCode, out } = await tunwright('config schema');
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ title: 'tunwright configuration', additionalProperties: false });
  });
});

describe('version', () => {
  it('names the daemon too when it runs', async () => {
    expect((await daemon('version')).out).toMatch(/^tunwright +\d+\.\d+\.\d+\ntunwrightd +0\.1\.0\nnode +v\d+/);
    expect(await tunwright('version --socket /nowhere')).toMatchObject({
      exitCode: 0,
      out: expect.stringContaining('tunwrightd  not running'),
    });
  });
});

const daemon = (line: string, options: FakeIoOptions = {}) =>
  tunwright(line, { ...options, env: { TUNWRIGHT_SOCKET: socketPath, ...options.env } });

function listening(path: string, answer: string): Promise<Server> {
  return new Promise((resolve) => {
    const other = createServer((socket) => socket.end(answer));
    other.listen(path, () => resolve(other));
  });
}
