import { type IncomingMessage, request } from 'node:http';
import type { ErrorView, EventView } from '../admin/wire.ts';
import { CliError, Exit } from './exit.ts';

const ANSWER_WITHIN_MS = 5_000;
const MAX_ANSWER_OCTETS = 64 << 20;

/** The daemon's admin API over its unix socket. */
export class AdminClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** The JSON answer to a GET. Every refusal becomes a `CliError` with its exit code. */
  async get<T>(path: string): Promise<T> {
    const response = await this.#open(path, 'application/json', AbortSignal.timeout(ANSWER_WITHIN_MS));
    const text = await this.#body(response);
    const status = response.statusCode ?? 0;
    if (status >= 400 && path !== '/healthz') throw refusal(status, text);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new CliError(
        Exit.failed,
        `${this.#socketPath} answered something else than JSON: is it tunwrightd's socket?`,
      );
    }
  }

  /** The answer to a GET that is a file, piece by piece. A file that ends early is an error. */
  async *pieces(path: string): AsyncGenerator<Uint8Array> {
    const interrupt = new AbortController();
    const response = await this.#open(path, 'application/octet-stream', interrupt.signal);
    if (response.statusCode !== 200) throw refusal(response.statusCode ?? 0, await this.#body(response));
    try {
      yield* response;
    } catch (cause) {
      throw this.#unreachable(cause);
    } finally {
      interrupt.abort();
    }
  }

  /** Events after `afterId` and then each new one, until interrupted or the daemon ends. */
  async *events(afterId: number, interrupted: AbortSignal): AsyncGenerator<EventView> {
    const response = await this.#open(`/v1/events?after=${afterId}`, 'text/event-stream', interrupted);
    if (response.statusCode !== 200) throw refusal(response.statusCode ?? 0, await this.#body(response));
    let pending = '';
    try {
      for await (const chunk of response.setEncoding('utf8')) {
        const records = (pending + chunk).split('\n\n');
        pending = records.pop() ?? '';
        for (const record of records) yield readRecord(record);
      }
    } catch (cause) {
      if (!interrupted.aborted) throw this.#unreachable(cause);
    }
  }

  #open(path: string, accept: string, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { host: 'tunwright', accept };
      const outgoing = request({ socketPath: this.#socketPath, path, headers, signal, agent: false }, resolve);
      outgoing.on('error', (cause) => reject(this.#unreachable(cause)));
      outgoing.end();
    });
  }

  async #body(response: IncomingMessage): Promise<string> {
    let text = '';
    try {
      for await (const chunk of response.setEncoding('utf8')) {
        text += chunk;
        if (text.length > MAX_ANSWER_OCTETS) throw new CliError(Exit.failed, 'the answer is larger than 64 MiB');
      }
    } catch (cause) {
      throw cause instanceof CliError ? cause : this.#unreachable(cause);
    }
    return text;
  }

  #unreachable(cause: unknown): CliError {
    const code = errnoOf(cause);
    const at = `tunwrightd does not answer at ${this.#socketPath}`;
    switch (code) {
      case 'ENOENT':
        return new CliError(Exit.notRunning, `${at} (no such file): ${START_IT}`);
      case 'ECONNREFUSED':
        return new CliError(Exit.notRunning, `${at} (a socket is there, but nobody listens): ${START_IT}`);
      case 'ECONNRESET':
        return new CliError(Exit.notRunning, `${at} any more: it stopped while answering`);
      case 'EACCES':
        return new CliError(
          Exit.permission,
          `no permission for ${this.#socketPath}: be root or join the group of the socket`,
        );
      case 'ABORT_ERR':
        return new CliError(
          Exit.timedOut,
          `${at} within ${ANSWER_WITHIN_MS / 1000} s: its log may say why (journalctl -u tunwrightd)`,
        );
      default:
        return new CliError(Exit.failed, `${at}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
}

const START_IT = 'start it with `systemctl start tunwrightd`, or name another socket with --socket';

/** Node reports an aborted request as ABORT_ERR, an aborted body as a plain AbortError or TimeoutError. */
function errnoOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  if (cause.name === 'AbortError' || cause.name === 'TimeoutError') return 'ABORT_ERR';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
}

function refusal(status: number, text: string): CliError {
  const exitCodes: Readonly<Record<number, number>> = { 400: Exit.usage, 403: Exit.permission, 404: Exit.notFound };
  return new CliError(exitCodes[status] ?? Exit.failed, messageOf(text) ?? `tunwrightd refused with status ${status}`);
}

function messageOf(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as Partial<ErrorView>;
    return error?.message;
  } catch {
    return undefined;
  }
}

/** One server-sent event; `data` is a single line here. */
function readRecord(record: string): EventView {
  const data = record.split('\n').find((line) => line.startsWith('data: '));
  return JSON.parse(data?.slice('data: '.length) ?? 'null') as EventView;
}
