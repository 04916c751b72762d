import { spawn } from 'node:child_process';
import { formatIp, formatPrefix, type IpAddress, type Prefix } from '../../lib/ip.ts';

/**
 * The routes of a gateway's own namespace through `ip -batch`. Changes are made one after the other, in the order in
 * which they were asked for.
 */
export class KernelRoutes {
  readonly #device: string;
  readonly #onError: (message: string) => void;
  #last: Promise<void> = Promise.resolve();

  constructor(device: string, onError: (message: string) => void) {
    this.#device = device;
    this.#onError = onError;
  }

  /** Whatever is sent to these prefixes is answered here. */
  own(prefixes: readonly Prefix[]): Promise<void> {
    return this.#batch(prefixes.map((prefix) => `route replace local ${formatPrefix(prefix)} dev lo`));
  }
  addAddress(address: IpAddress): Promise<void> {
    return this.#batch([`addr replace ${formatIp(address)}/32 dev lo`]);
  }
  /** Behind the tunnel, that is at the branch. */
  reach(prefixes: readonly Prefix[]): Promise<void> {
    return this.#batch(prefixes.map((prefix) => `route replace ${formatPrefix(prefix)} dev ${this.#device}`));
  }
  forget(prefixes: readonly Prefix[]): Promise<void> {
    return this.#batch(prefixes.map((prefix) => `route del ${formatPrefix(prefix)} dev ${this.#device}`));
  }

  #batch(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) this.#last = this.#last.then(() => ipBatch(lines)).catch(this.#report);
    return this.#last;
  }

  readonly #report = (error: unknown): void => this.#onError(error instanceof Error ? error.message : String(error));
}

/** Every line is tried; rejects with what `ip` said about those that failed. */
function ipBatch(lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('ip', ['-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`ip: ${complaints.trim()}`))));
    child.stdin.on('error', reject);
    child.stdin.end(`${lines.join('\n')}\n`);
  });
}
