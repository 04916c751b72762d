import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHttp, type HttpClient } from '../../../src/io/http.ts';
import type { HttpRequest } from '../../../src/lib/http.ts';
import { SELF_SIGNED } from './self-signed.ts';

let http: HttpClient;
const servers: Server[] = [];
beforeEach(() => {
  http = createHttp();
});
afterEach(async () => {
  await http.close();
  await Promise.all(servers.splice(0).map((server) => new Promise((done) => server.close(done))));
});

describe('createHttp', () => {
  it('performs the exchange as asked and gives the answer back whole', async () => {
    const url = await serve((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        response.writeHead(201, { 'Retry-After': '7', 'Set-Cookie': ['a=1', 'b=2'] });
        response.end(`${request.method} ${request.url} ${request.headers.authorization} ${body}`);
      });
    });
    const headers = { authorization: 'Bearer x' };
    const response = await http(get(`${url}/v1?q=1`, { method: 'PATCH', headers, body: '{"é":1}' }));
    expect(response).toMatchObject({
      kind: 'response',
      status: 201,
      headers: { 'retry-after': '7', 'set-cookie': 'a=1, b=2' },
      body: 'PATCH /v1?q=1 Bearer x {"é":1}',
    });
  });

  it('gives errors of the server and redirects back instead of acting on them', async () => {
    const url = await serve((request, response) => {
      response.writeHead(request.url === '/moved' ? 302 : 503, { location: '/elsewhere' }).end('busy');
    });
    expect(await http(get(`${url}/moved`))).toMatchObject({ status: 302, headers: { location: '/elsewhere' } });
    expect(await http(get(url))).toMatchObject({ status: 503, body: 'busy' });
  });

  it('gives up after the time allowed, body included', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/body') response.writeHead(200).write('half');
    });
    for (const path of ['/silent', '/body']) {
      expect(await http(get(`${url}${path}?secret=1`, { timeoutMs: 50 }))).toEqual({
        kind: 'unreachable',
        code: 'timeout',
        detail: `GET ${url}${path}: no answer within 50 ms.`,
      });
    }
  });

  it('tells apart what went wrong', async () => {
    const closed = await serve((request) => request.socket.destroy());
    const huge = await serve((_, response) => response.end(Buffer.alloc(8 * 1024 * 1024 + 1)));
    const free = await serve(() => undefined);
    await new Promise((done) => servers.pop()?.close(done));
    expect(await http(get(free))).toMatchObject({ code: 'ECONNREFUSED', detail: expect.stringContaining(free) });
    expect(await http(get('http://name.invalid/'))).toMatchObject({ kind: 'unreachable' });
    expect(await http(get(closed))).toMatchObject({ code: 'ECONNRESET' });
    expect(await http(get(huge))).toMatchObject({
      code: 'too-large',
      detail: expect.stringContaining('larger than 8388608'),
    });
    expect(await http(get('nonsense'))).toMatchObject({
      kind: 'unreachable',
      detail: expect.stringContaining('an invalid URL'),
    });
  });

  it('refuses a certificate nobody vouches for', async () => {
    const server = createTlsServer(SELF_SIGNED, (_, response) => response.end('hello'));
    const url = (await listen(server)).replace('http:', 'https:');
    expect(await http(get(url))).toMatchObject({
      kind: 'unreachable',
      code: 'tls',
      detail: expect.stringContaining('DEPTH_ZERO_SELF_SIGNED_CERT'),
    });
  });
});

const get = (url: string, change: Partial<HttpRequest> = {}): HttpRequest => {
  return { method: 'GET', url, headers: {}, body: undefined, timeoutMs: 5000, ...change };
};

const serve = (listener: RequestListener): Promise<string> => listen(createServer(listener));

function listen(server: Server): Promise<string> {
  servers.push(server);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}
