import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdminOptions, type AdminServer, startAdminServer } from '../../../src/admin/server.ts';
import { ADVERTISED, event, FakeViews, NEIGHBOR, PREFIX, ROUTES } from './fake-views.ts';

let directory: string;
let socketPath: string;
let views: FakeViews;
let errors: unknown[];
const running: AdminServer[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tw-admin-'));
  socketPath = join(directory, 'run', 'tunwright.sock');
  views = new FakeViews();
  errors = [];
});

afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
  rmSync(directory, { recursive: true });
});

describe('the socket', () => {
  it('appears with mode 0660 in a directory made for it, and goes with the server', async () => {
    const server = await start();
    expect((statSync(socketPath).mode & 0o777).toString(8)).toBe('660');
    await server.close();
    expect(existsSync(socketPath)).toBe(false);
  });

  it('is not taken from a daemon that answers', async () => {
    await start();
    expect(await startAdminServer(options())).toEqual({
      ok: false,
      error: `another tunwrightd answers at ${socketPath}: stop it first, or give this one its own --runtime-dir`,
    });
    expect((await get('/healthz')).status).toBe(200);
  });

  it('replaces one that a crashed daemon left', async () => {
    await start();
    await leaveStaleSocket(join(directory, 'run', 'old.sock'), socketPath);
    expect((await get('/healthz')).status).toBe(200);
  });

  it('leaves a file alone that is no socket', async () => {
    socketPath = join(directory, 'notes.txt');
    writeFileSync(socketPath, 'important');
    const started = await startAdminServer(options());
    expect(started.ok ? '' : started.error).toContain('exists and is not a socket');
    expect(statSync(socketPath).size).toBe(9);
  });

  it.each([
    [`/tmp/${'x'.repeat(103)}`, 'expected a socket path of at most 107 octets, got /tmp/xxx'],
    [
      '/proc/tunwright/socket',
      "cannot prepare /proc/tunwright/socket: ENOENT: no such file or directory, mkdir '/proc/tunwright'",
    ],
  ])('says why it cannot be at %s', async (path, message) => {
    const started = await startAdminServer({ ...options(), socketPath: path });
    expect(started.ok ? '' : started.error).toContain(message);
  });
});

describe('paths', () => {
  beforeEach(start);

  it.each([
    ['ok', 200],
    ['degraded', 200],
    ['down', 503],
  ] as const)('/healthz of a site that is %s answers %i', async (health, status) => {
    views.health = health;
    expect(await get('/healthz')).toMatchObject({ status, body: { health } });
  });

  it('/v1/status gives the status', async () => {
    expect(await get('/v1/status')).toMatchObject({ status: 200, body: { site: 'lyon-01', health: 'ok' } });
  });

  it('/v1/ike/history passes the filter on', async () => {
    expect(await get('/v1/ike/history?tunnel=fiber%2F1&limit=7')).toMatchObject({ status: 200, body: [] });
    expect(views.historyFilter).toEqual({ tunnel: 'fiber/1', limit: 7 });
    await get('/v1/ike/history');
    expect(views.historyFilter).toEqual({ tunnel: undefined, limit: 100 });
  });

  it('/v1/bgp/neighbors, received and advertised', async () => {
    expect((await get('/v1/bgp/neighbors')).body).toEqual([NEIGHBOR]);
    expect((await get('/v1/bgp/neighbors/169.254.21.2/received')).body).toEqual([PREFIX]);
    expect((await get('/v1/bgp/neighbors/169.254.21.2/advertised')).body).toEqual([ADVERTISED]);
  });

  it('/v1/bgp/mrt, which is a file and no JSON', async () => {
    expect(await getOctets('/v1/bgp/mrt')).toEqual({
      type: 'application/octet-stream',
      octets: [1, 2, 3],
      whole: true,
    });
  });

  it('/v1/bgp/mrt, cut off where the daemon fails, so that nobody takes it for whole', async () => {
    views.pieces = function* () {
      yield new Uint8Array(100_000);
      throw new Error('a bug');
    };
    expect((await getOctets('/v1/bgp/mrt')).whole).toBe(false);
    expect(errors).toEqual([new Error('a bug')]);
    expect((await get('/healthz')).status).toBe(200);
  });

  it('/v1/routes, all or one', async () => {
    expect((await get('/v1/routes')).body).toEqual(ROUTES);
    expect((await get('/v1/routes?dst=13.107.6.152')).body).toEqual(ROUTES);
    expect((await get('/v1/routes?dst=192.0.2.1')).body).toEqual({ ...ROUTES, routes: [] });
  });

  it.each([
    ['/v1/nothing', 404, 'not-found', 'no such path: expected one of /healthz /v1/status'],
    [
      '/v1/bgp/neighbors/169.254.99.2/received',
      404,
      'not-found',
      'no BGP neighbour has the address 169.254.99.2: there are 169.254.21.2',
    ],
    ['/v1/bgp/neighbors/..%2f/received', 400, 'bad-request', 'expected the BGP address of a neighbour, got "..%2f"'],
    ['/v1/bgp/neighbors/169.254.99.2/advertised', 404, 'not-found', 'no BGP neighbour has the address 169.254.99.2'],
    ['/v1/routes?dst=tw0', 400, 'bad-request', 'dst: expected an IP address, got "tw0"'],
    ['/v1/ike/history?limit=0', 400, 'bad-request', 'limit: expected a whole number from 1 to 1000, got "0"'],
    ['/v1/ike/history?limit=1001', 400, 'bad-request', 'limit: expected a whole number from 1 to 1000, got "1001"'],
    ['/v1/events?after=-1', 400, 'bad-request', 'expected the id of an event as a whole number, got "-1"'],
  ])('%s is refused with %i', async (path, status, code, message) => {
    const reply = await get(path);
    expect(reply.status).toBe(status);
    expect(reply.body).toMatchObject({ error: { code } });
    expect((reply.body as { error: { message: string } }).error.message).toContain(message);
  });

  it('takes no other method, and says which it takes', async () => {
    expect(await get('/v1/status', {}, 'DELETE')).toMatchObject({
      status: 405,
      body: { error: { message: '/v1/status takes GET, got DELETE' } },
    });
    const refused = await open('/v1/status', {}, 'DELETE');
    expect(refused.resume().headers.allow).toBe('GET, HEAD');
  });

  it.each(['/healthz', '/v1/events'])('answers HEAD %s without a body', async (path) => {
    const response = await open(path, {}, 'HEAD');
    expect(response.statusCode).toBe(200);
    let octets = 0;
    for await (const chunk of response) octets += (chunk as Buffer).length;
    expect(octets).toBe(0);
  });
});

describe('captures', () => {
  const root = { peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }) };

  it('are files', async () => {
    await start(root);
    expect(await getOctets('/v1/capture?side=inner')).toMatchObject({ octets: [1, 2, 3], whole: true });
    expect(views.captureRequest).toEqual({
      tunnel: undefined,
      side: 'inner',
      seconds: 10,
      packets: 10_000,
      snap: 1_600,
    });
    await getOctets('/v1/capture?side=outer&tunnel=fiber%2F1&seconds=3&packets=5&snap=64');
    expect(views.captureRequest).toEqual({ tunnel: 'fiber/1', side: 'outer', seconds: 3, packets: 5, snap: 64 });
  });

  it('are not for everybody: they show what others send', async () => {
    await start();
    expect(await get('/v1/capture?side=inner')).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
    expect(views.captureRequest).toBeUndefined();
  });

  it.each([
    ['/v1/capture', 400, 'bad-request', 'side: expected inner or outer, got ""'],
    [
      '/v1/capture?side=inner&seconds=3601',
      400,
      'bad-request',
      'seconds: expected a whole number from 1 to 3600, got "3601"',
    ],
    [
      '/v1/capture?side=inner&packets=0',
      400,
      'bad-request',
      'packets: expected a whole number from 1 to 16384, got "0"',
    ],
    ['/v1/capture?side=inner&snap=x', 400, 'bad-request', 'snap: expected a whole number from 64 to 9216, got "x"'],
    ['/v1/capture?side=inner&tunnel=fiber/9', 404, 'not-found', 'there is no tunnel fiber/9'],
    ['/v1/capture?side=inner&tunnel=fiber/2', 409, 'conflict', 'tunnel fiber/2 has no device now'],
  ])('%s is refused with %i', async (path, status, code, message) => {
    await start(root);
    const reply = await get(path);
    expect(reply.status).toBe(status);
    expect(reply.body).toMatchObject({ error: { code, message } });
  });
});

describe('callers', () => {
  it.each([
    [{ origin: 'https://evil.example' }, 'header origin'],
    [{ 'sec-fetch-site': 'cross-site' }, 'header sec-fetch-site'],
    [{ host: 'evil.example' }, 'Host is a domain name or an address, expected a word such as localhost'],
  ])('that look like browsers are refused: %o', async (headers, sign) => {
    await start();
    expect(await get('/v1/status', headers)).toMatchObject({
      status: 403,
      body: { error: { code: 'forbidden', message: `requests of browsers are refused (${sign})` } },
    });
  });

  it('may not send a body', async () => {
    await start();
    expect((await get('/v1/status', { 'content-length': '1000000000' })).status).toBe(413);
    expect((await get('/v1/status', { 'transfer-encoding': 'chunked' })).status).toBe(413);
  });

  it('that the kernel cannot name are refused, and the reason is logged', async () => {
    const failure = new Error('EBADF');
    await start({
      peerCredentials: () => {
        throw failure;
      },
    });
    expect((await get('/v1/status')).status).toBe(500);
    expect(errors).toEqual([failure]);
  });

  it('hear no details of our bugs', async () => {
    await start();
    views.status = () => {
      throw new Error('undefined is not a function');
    };
    const reply = await get('/v1/status');
    expect(reply.status).toBe(500);
    expect(JSON.stringify(reply.body)).not.toContain('undefined');
    expect(errors).toHaveLength(1);
  });
});

describe('/v1/events', () => {
  beforeEach(start);

  it('is a list for those who want JSON', async () => {
    views.log.push(event(1), event(2), event(3));
    expect((await get('/v1/events?after=1', { accept: 'application/json' })).body).toEqual([event(2), event(3)]);
  });

  it('streams what is remembered and then what happens', async () => {
    views.log.push(event(1));
    const stream = await openStream();
    expect(await stream.next()).toEqual({ id: '1', event: 'tunnel-up', data: event(1) });
    views.emit(event(2, 'two\nlines'));
    expect(await stream.next()).toEqual({ id: '2', event: 'tunnel-up', data: event(2, 'two\nlines') });
    await stream.close();
  });

  it('goes on after Last-Event-ID', async () => {
    views.log.push(event(1), event(2), event(3));
    const stream = await openStream({ 'last-event-id': '2' });
    expect((await stream.next()).id).toBe('3');
    await stream.close();
  });

  it('starts over when the id is from before a restart', async () => {
    views.log.push(event(1));
    const stream = await openStream({ 'last-event-id': '900' });
    expect((await stream.next()).id).toBe('1');
    await stream.close();
  });

  it('forgets a reader that left', async () => {
    views.log.push(event(1));
    const stream = await openStream();
    await stream.next();
    expect(views.listeners.size).toBe(1);
    const left = new Promise<void>((resolve) => {
      const { delete: remove } = views.listeners;
      views.listeners.delete = (listener) => {
        resolve();
        return remove.call(views.listeners, listener);
      };
    });
    await stream.close();
    await left;
    expect(views.listeners.size).toBe(0);
  });

  it('has room for sixteen readers', async () => {
    views.log.push(event(1));
    const streams = await Promise.all(Array.from({ length: 16 }, () => openStream()));
    for (const stream of streams) await stream.next();
    expect((await get('/v1/events')).status).toBe(503);
    for (const stream of streams) await stream.close();
  });

  it('cuts off a reader that does not read', async () => {
    const socket = connect(socketPath);
    socket.write('GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    const long = 'x'.repeat(65_536);
    for (let id = 1; id <= 64 && views.listeners.size > 0; id++) {
      views.emit(event(id, long));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(views.listeners.size).toBe(0);
    socket.destroy();
  });
});

function options(): AdminOptions {
  return {
    socketPath,
    views,
    peerCredentials: () => ({ pid: 1, uid: 1000, gid: 1000 }),
    ownUid: 0,
    onError: (error) => errors.push(error),
  };
}

async function start(changes: Partial<AdminOptions> = {}): Promise<AdminServer> {
  const started = await startAdminServer({ ...options(), ...changes });
  if (!started.ok) throw new Error(started.error);
  running.push(started.value);
  return started.value;
}

/** A socket file nobody listens on, as after kill -9: the name stays when it is moved away from its server. */
async function leaveStaleSocket(from: string, to: string): Promise<void> {
  for (const server of running.splice(0)) await server.close();
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(from, resolve));
  const { renameSync } = await import('node:fs');
  renameSync(from, to);
  await new Promise((resolve) => listener.close(resolve));
  expect(statSync(to).isSocket()).toBe(true);
  await start();
}

function open(path: string, headers: OutgoingHttpHeaders, method = 'GET'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, method, headers, agent: false }, resolve);
    outgoing.on('error', reject);
    // Headers alone: a body that is announced never comes.
    if (headers['content-length'] === undefined) outgoing.end();
    else outgoing.flushHeaders();
  });
}

async function get(path: string, headers: OutgoingHttpHeaders = {}, method = 'GET') {
  const response = await open(path, headers, method);
  let text = '';
  for await (const chunk of response) text += chunk;
  const body: unknown = JSON.parse(text);
  return { status: response.statusCode, body };
}

async function openStream(headers: OutgoingHttpHeaders = {}) {
  const response = await open('/v1/events', { ...headers, accept: 'text/event-stream' });
  const chunks = response[Symbol.asyncIterator]();
  let text = '';
  return {
    async next() {
      while (!text.includes('\n\n')) text += (await chunks.next()).value;
      const [record = '', ...rest] = text.split('\n\n');
      text = rest.join('\n\n');
      const fields = Object.fromEntries(record.split('\n').map((line) => line.split(/: (.*)/s, 2)));
      return { id: fields['id'], event: fields['event'], data: JSON.parse(fields['data']) };
    },
    async close() {
      response.destroy();
    },
  };
}

function getOctets(path: string): Promise<{ type: string | undefined; octets: number[]; whole: boolean }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, headers: { host: 'tunwright' } }, (response) => {
      const octets: number[] = [];
      response.on('data', (piece: Buffer) => octets.push(...piece));
      response.on('error', () => undefined);
      response.on('close', () => resolve({ type: response.headers['content-type'], octets, whole: response.complete }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
