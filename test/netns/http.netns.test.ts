import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpResponse } from '../../src/lib/http.ts';
import { SELF_SIGNED } from '../unit/io/self-signed.ts';
import { eventually } from './eventually.ts';
import { newPrefix, removeLeftovers, removeNamespaces } from './namespaces.ts';
import { RunningProcess, run } from './process.ts';

/*
 *   httpx<pid>a                                    httpx<pid>b
 *   wan0 192.0.2.10/24   ── 192.0.2.1              lo 203.0.113.1: HTTP and HTTPS
 *   tw0  198.18.0.10/24  ── 198.18.0.1             (tells the address that it sees)
 *
 *   A's best default route leaves by tw0, as a learned route of ours would; wan0 has one of a worse metric.
 */
const PREFIX = newPrefix();
const A = `${PREFIX}-client`;
const B = `${PREFIX}-server`;
const driver = (name: string): string => new URL(`./drivers/${name}.mjs`, import.meta.url).pathname;

let directory: string;
let server: RunningProcess;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tunwright-http-'));
  writeFileSync(join(directory, 'key'), SELF_SIGNED.key);
  writeFileSync(join(directory, 'certificate'), SELF_SIGNED.cert);
  await removeLeftovers();
  for (const namespace of [A, B]) {
    await run('ip', ['netns', 'add', namespace]);
    await ip(namespace, 'link set lo up');
  }
  await link('wan0', '192.0.2.10', '192.0.2.1');
  await link('tw0', '198.18.0.10', '198.18.0.1');
  await ip(A, 'route add default via 198.18.0.1 metric 10');
  await ip(A, 'route add default via 192.0.2.1 metric 100');
  await ip(B, 'address add 203.0.113.1/32 dev lo');
  server = new RunningProcess(
    process.execPath,
    [driver('http-echo'), join(directory, 'key'), join(directory, 'certificate')],
    { namespace: B },
  );
  await eventually('the server listens', 10_000, () => server.lines.includes('listening'));
});

afterAll(async () => {
  await server?.stop();
  await removeNamespaces([A, B]);
  rmSync(directory, { recursive: true });
});

const PINNED = { device: 'wan0', mark: 0x7700, localAddress: '192.0.2.10' };

describe('HTTP pinned to a WAN', () => {
  it('follows the routing table when nothing is pinned', async () => {
    expect(await get('http://203.0.113.1/', {})).toMatchObject({ status: 200, body: '198.18.0.10' });
  });

  it.each([PINNED, { device: 'wan0' }])('leaves by the WAN with %o, whatever the best route says', async (options) => {
    expect(await get('http://203.0.113.1/', options)).toMatchObject({ status: 200, body: '192.0.2.10' });
  });

  it('follows an ip rule for its mark', async () => {
    await ip(A, 'route add default via 192.0.2.1 table 100');
    await ip(A, 'rule add fwmark 0x7700/0xff00 lookup 100');
    expect(await get('http://203.0.113.1/', { mark: 0x7700 })).toMatchObject({ status: 200, body: '192.0.2.10' });
  });

  it('speaks TLS over the pinned connection and trusts NODE_EXTRA_CA_CERTS', async () => {
    const env = { NODE_EXTRA_CA_CERTS: join(directory, 'certificate') };
    expect(await get('https://203.0.113.1/', PINNED)).toMatchObject({ kind: 'unreachable', code: 'tls' });
    expect(await get('https://203.0.113.1/', PINNED, env)).toMatchObject({ status: 200, body: '192.0.2.10' });
    expect(await get('https://192.0.2.1/', PINNED, env)).toMatchObject({
      code: 'tls', // trusted, but made out to another name
      detail: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
  });

  it('says why a connection cannot be made', async () => {
    expect(await get('http://203.0.113.1:81/', PINNED)).toMatchObject({ kind: 'unreachable', code: 'ECONNREFUSED' });
    expect(await get('http://203.0.113.1/', { device: 'nodev0' })).toMatchObject({
      kind: 'unreachable',
      code: 'ENODEV',
    });
    await ip(A, 'link set wan0 down');
    expect(await get('http://203.0.113.1/', PINNED)).toMatchObject({ kind: 'unreachable' });
  });
});

const ip = (namespace: string, command: string): Promise<string> =>
  run('ip', ['-netns', namespace, ...command.split(' ')]);

async function get(url: string, options: object, env: Record<string, string> = {}): Promise<HttpResponse> {
  const args = [driver('http-get'), url, JSON.stringify(options)];
  return JSON.parse(await run(process.execPath, args, { namespace: A, env }));
}

async function link(name: string, address: string, gateway: string): Promise<void> {
  await ip(A, `link add ${name} type veth peer name ${name} netns ${B}`);
  await ip(A, `address add ${address}/24 dev ${name}`);
  await ip(B, `address add ${gateway}/24 dev ${name}`);
  await ip(A, `link set ${name} up`);
  await ip(B, `link set ${name} up`);
}
