import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { BgpSession } from '../../src/bgp/index.ts';
import type { BgpConfig, BgpInput, BgpOutput, BgpRoutes, BgpView, ExportRoute } from '../../src/bgp/types.ts';
import { fromHex, toHex } from '../../src/lib/bytes.ts';
import { formatIp, formatKey } from '../../src/lib/ip.ts';
import { type Instant, instant } from '../../src/lib/time.ts';

const ENDPOINT = join(import.meta.dirname, 'drivers/tcp-endpoint.mjs');

/** What the TCP endpoint in the namespace reports. */
type EndpointEvent =
  | { readonly op: 'listening' }
  | { readonly op: 'accepted' | 'connected'; readonly id: number }
  | { readonly op: 'data'; readonly id: number; readonly hex: string }
  | { readonly op: 'closed'; readonly id: number; readonly reason: string };

/** Our BGP core on real time and real sockets of a network namespace. */
export class BgpSpeaker {
  /** By prefix, as text. */
  readonly learned = new Map<string, BgpRoutes['attributes']>();
  readonly #session: BgpSession;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  #wake: NodeJS.Timeout | undefined;

  private constructor(namespace: string, config: BgpConfig, password: string | undefined) {
    this.#session = new BgpSession(config, { random: { bytes: randomBytes } });
    const ends = [formatIp(config.localAddress), formatIp(config.peerAddress), ...(password ? [password] : [])];
    const argv = ['netns', 'exec', namespace, process.execPath, ENDPOINT, ...ends];
    this.#child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** Started, with `routes` to advertise; `password`: of TCP-MD5. */
  static async start(
    namespace: string,
    config: BgpConfig,
    routes: readonly ExportRoute[],
    password?: string,
  ): Promise<BgpSpeaker> {
    const speaker = new BgpSpeaker(namespace, config, password);
    await once(speaker.#lines, 'line'); // listening
    speaker.#lines.on('line', (line) => speaker.#onEvent(JSON.parse(line)));
    speaker.feed({ kind: 'advertise', routes });
    speaker.feed({ kind: 'start' });
    return speaker;
  }

  feed(input: BgpInput): void {
    this.#session.handle(input, now());
    for (let out = this.#session.poll(); out !== undefined; out = this.#session.poll()) this.#perform(out);
    clearTimeout(this.#wake);
    const at = this.#session.nextTimeout();
    if (at !== undefined) this.#wake = setTimeout(() => this.feed({ kind: 'timeout' }), at - now());
  }

  view(): BgpView {
    return this.#session.view(now());
  }

  async remove(): Promise<void> {
    clearTimeout(this.#wake);
    this.#lines.removeAllListeners('line');
    const ended = once(this.#child, 'close');
    this.#child.stdin.end();
    await ended;
  }

  #onEvent(event: EndpointEvent): void {
    switch (event.op) {
      case 'accepted':
      case 'connected':
        this.feed({ kind: 'connected', connection: event.id, incoming: event.op === 'accepted' });
        break;
      case 'data':
        this.feed({ kind: 'data', connection: event.id, bytes: fromHex(event.hex) });
        break;
      case 'closed':
        this.feed({ kind: 'closed', connection: event.id, reason: event.reason });
        break;
      case 'listening':
        break;
    }
  }

  #perform(output: BgpOutput): void {
    switch (output.kind) {
      case 'connect':
        this.#order({ op: 'dial', id: output.connection });
        break;
      case 'send':
        this.#order({ op: 'write', id: output.connection, hex: toHex(output.bytes) });
        this.#session.handle({ kind: 'sent', connection: output.connection }, now());
        break;
      case 'abort':
      case 'close':
        this.#order({ op: 'end', id: output.connection });
        break;
      case 'routes':
        for (const key of output.withdrawn) this.learned.delete(formatKey(key));
        for (const { prefixes, attributes } of output.announced) {
          for (const key of prefixes) this.learned.set(formatKey(key), attributes);
        }
        break;
      case 'down':
        this.learned.clear();
        break;
      case 'up':
      case 'end-of-rib':
      case 'log':
        break;
    }
  }

  #order(order: object): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }
}

const now = (): Instant => instant(performance.now());
