import type { Random } from '../crypto/types.ts';
import type { HttpRequest, HttpResponse } from '../lib/http.ts';
import { unreachable } from '../lib/result.ts';
import { after, elapsedMs, type Instant } from '../lib/time.ts';
import { jittered } from './backoff.ts';
import { EntraFailure } from './failure.ts';
import type { Answer, Procedure } from './procedure.ts';
import { type Registration, register } from './register.ts';
import { Scrubber } from './scrubber.ts';
import type { GraphSession } from './session.ts';
import { AccessToken } from './token.ts';
import type { EntraConnector, EntraInput, EntraOutput, EntraView, WantedRemoteNetwork } from './types.ts';

/** Between runs that failed for a passing reason: 30 s, 1 min, 2 min … 10 min, with jitter. */
const FIRST_RERUN_MS = 30_000;
const LONGEST_RERUN_MS = 600_000;
/** After a failure that only an administrator can mend. */
const SLOW_RERUN_MS = 1_800_000;

/** The procedure under way and what it waits for. */
interface Run {
  readonly procedure: Procedure<Registration>;
  readonly awaits:
    | { readonly kind: 'response'; readonly id: number }
    | { readonly kind: 'instant'; readonly at: Instant };
}

type State =
  | { readonly kind: 'idle' | 'registered' }
  | { readonly kind: 'running'; readonly run: Run }
  | { readonly kind: 'failed'; readonly code: string; readonly rerunAt: Instant };

/**
 * Registers this box with Global Secure Access and keeps trying until it is. No socket, no clock: HTTP exchanges and
 * waiting are outputs and inputs. `start` while running changes nothing; after success or failure it runs again.
 * Does not rotate keys and does not watch the tenant; the caller starts it when it wants to know again.
 */
export class EntraRegistration {
  readonly #session: GraphSession;
  readonly #wanted: WantedRemoteNetwork;
  readonly #out: EntraOutput[] = [];
  #state: State = { kind: 'idle' };
  #last: Registration | undefined;
  #detail = '';
  #requests = 0;
  #failuresInRow = 0;

  constructor(connector: EntraConnector, wanted: WantedRemoteNetwork, deps: { readonly random: Random }) {
    const scrubber = new Scrubber();
    scrubber.learn(connector.clientSecret);
    for (const psk of wanted.links.flatMap((link) => link.psks)) scrubber.learn(psk);
    this.#session = { connector, random: deps.random, token: new AccessToken(), scrubber };
    this.#wanted = wanted;
  }

  handle(input: EntraInput, now: Instant): void {
    switch (input.kind) {
      case 'start':
        return this.#start(now);
      case 'response':
        return this.#onResponse(input.id, input.response, now);
      case 'timeout':
        return this.#onTimeout(now);
      case 'stop':
        return this.#stop();
    }
  }

  /** Drain until undefined after every `handle`. A request's headers and body hold secrets: perform it, do not record it. */
  poll(): EntraOutput | undefined {
    return this.#out.shift();
  }

  nextTimeout(): Instant | undefined {
    const state = this.#state;
    if (state.kind === 'failed') return state.rerunAt;
    if (state.kind !== 'running') return undefined;
    return state.run.awaits.kind === 'instant' ? state.run.awaits.at : undefined;
  }

  view(now: Instant): EntraView {
    const state = this.#state;
    return {
      state: state.kind === 'running' ? 'pending' : state.kind,
      detail: this.#detail,
      code: state.kind === 'failed' ? state.code : undefined,
      retryInMs: state.kind === 'failed' ? Math.max(0, elapsedMs(now, state.rerunAt)) : undefined,
      remoteNetworkId: this.#last?.remoteNetworkId,
      links: this.#last?.links ?? [],
    };
  }

  #start(now: Instant): void {
    if (this.#state.kind === 'running') return;
    this.#advance(register(this.#session, this.#wanted), { now, response: undefined });
  }

  #stop(): void {
    this.#state = { kind: 'idle' };
    this.#detail = 'stopped';
  }

  #onResponse(id: number, response: HttpResponse, now: Instant): void {
    const state = this.#state;
    if (state.kind !== 'running' || state.run.awaits.kind !== 'response' || state.run.awaits.id !== id) return;
    this.#advance(state.run.procedure, { now, response });
  }

  #onTimeout(now: Instant): void {
    const at = this.nextTimeout();
    if (at === undefined || now < at) return;
    const state = this.#state;
    if (state.kind === 'running') this.#advance(state.run.procedure, { now, response: undefined });
    else this.#start(now);
  }

  /** Resumes the procedure until it has to wait, returns or fails. */
  #advance(procedure: Procedure<Registration>, answer: Answer): void {
    const { now } = answer;
    try {
      let result = procedure.next(answer);
      while (!result.done) {
        const step = result.value;
        switch (step.kind) {
          case 'http':
            return this.#awaitResponse(procedure, step.request);
          case 'sleep':
            this.#state = { kind: 'running', run: { procedure, awaits: { kind: 'instant', at: after(now, step.ms) } } };
            return;
          case 'progress':
            this.#progress(step.step, step.detail);
            break;
          case 'now':
            break;
          default:
            unreachable(step);
        }
        result = procedure.next({ now, response: undefined });
      }
      this.#succeed(result.value);
    } catch (failure) {
      if (!(failure instanceof EntraFailure)) throw failure;
      this.#fail(failure, now);
    }
  }

  #awaitResponse(procedure: Procedure<Registration>, request: HttpRequest): void {
    const id = ++this.#requests;
    this.#state = { kind: 'running', run: { procedure, awaits: { kind: 'response', id } } };
    this.#out.push({ kind: 'request', id, request });
  }

  #progress(step: string, detail: string): void {
    this.#detail = this.#session.scrubber.scrub(detail);
    this.#out.push({ kind: 'progress', step, detail: this.#detail });
  }

  #succeed(registration: Registration): void {
    this.#state = { kind: 'registered' };
    this.#detail = `registered as remote network ${registration.remoteNetworkId}`;
    this.#last = registration;
    this.#failuresInRow = 0;
    this.#out.push({ kind: 'registered', ...registration });
  }

  #fail(failure: EntraFailure, now: Instant): void {
    const rerunInMs = failure.permanent ? SLOW_RERUN_MS : (failure.retryAfterMs ?? this.#nextRerunMs());
    this.#state = { kind: 'failed', code: failure.code, rerunAt: after(now, rerunInMs) };
    this.#detail = this.#session.scrubber.scrub(failure.message);
    this.#out.push({
      kind: 'failed',
      code: failure.code,
      message: this.#detail,
      retryInMs: failure.permanent ? undefined : rerunInMs,
    });
  }

  #nextRerunMs(): number {
    const ms = Math.min(LONGEST_RERUN_MS, FIRST_RERUN_MS * 2 ** this.#failuresInRow);
    this.#failuresInRow++;
    return jittered(ms, this.#session.random);
  }
}
