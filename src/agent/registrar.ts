import type { Random } from '../crypto/types.ts';
import { EntraRegistration } from '../entra/index.ts';
import type { EntraConnector, EntraInput, EntraOutput, EntraView, WantedRemoteNetwork } from '../entra/types.ts';
import type { Clock } from '../io/clock.ts';
import type { HttpRequest, HttpResponse } from '../lib/http.ts';
import type { EventLog } from './event-log.ts';
import { Reactor } from './reactor.ts';

export interface RegistrarDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EventLog;
  readonly http: (request: HttpRequest) => Promise<HttpResponse>;
}

/** What registration led to: Microsoft's half, and the keys in force of every link. */
export type Registered = Extract<EntraOutput, { kind: 'registered' }>;

/** Runs one EntraRegistration over HTTP in the daemon's name. */
export class Registrar {
  readonly #reactor: Reactor<EntraInput, EntraOutput>;
  readonly #deps: RegistrarDeps;
  readonly #core: EntraRegistration;
  readonly #onRegistered: (registered: Registered) => void;

  /** `onFailure`: a mistake of our own ended it for good; its owner makes another one. */
  constructor(
    connector: EntraConnector,
    wanted: WantedRemoteNetwork,
    deps: RegistrarDeps,
    onRegistered: (registered: Registered) => void,
    onFailure: (error: unknown) => void,
  ) {
    this.#deps = deps;
    this.#onRegistered = onRegistered;
    this.#core = new EntraRegistration(connector, wanted, { random: deps.random });
    this.#reactor = new Reactor<EntraInput, EntraOutput>(
      this.#core,
      deps.clock,
      (output) => this.#perform(output),
      onFailure,
    );
  }

  get view(): EntraView {
    return this.#core.view(this.#deps.clock.now());
  }

  start(): void {
    this.#reactor.feed({ kind: 'start' });
  }

  close(): void {
    this.#reactor.feed({ kind: 'stop' });
    this.#reactor.close();
  }

  #perform(output: EntraOutput): void {
    const { log } = this.#deps;
    switch (output.kind) {
      case 'request':
        void this.#exchange(output.id, output.request);
        return;
      case 'progress':
        return log.add('info', 'entra-progress', `${output.step}: ${output.detail}`);
      case 'failed':
        return log.add('error', 'entra-failed', `${output.code}: ${output.message}`);
      case 'registered':
        log.add('info', 'entra-registered', `registered as remote network ${output.remoteNetworkId}`);
        return this.#onRegistered(output);
    }
  }

  async #exchange(id: number, request: HttpRequest): Promise<void> {
    const response = await this.#deps.http(request).catch(unreachable);
    this.#reactor.feed({ kind: 'response', id, response });
  }
}

/** An HTTP client that throws is broken, not the registration: to be tried again like any other failure. */
const unreachable = (error: unknown): HttpResponse => ({
  kind: 'unreachable',
  code: 'failed',
  detail: error instanceof Error ? error.message : String(error),
});
