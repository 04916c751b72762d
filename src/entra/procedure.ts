import type { HttpRequest, HttpResponse } from '../lib/http.ts';
import type { Instant } from '../lib/time.ts';

/**
 * A registration step is a generator: straight-line code that yields what it needs (an HTTP exchange, a pause, the time)
 * and is resumed with the answer. It stays pure and synchronous; `EntraRegistration` performs the waiting.
 */
export type Procedure<T> = Generator<Step, T, Answer>;

export type Step =
  | { readonly kind: 'http'; readonly request: HttpRequest }
  | { readonly kind: 'sleep'; readonly ms: number }
  | { readonly kind: 'progress'; readonly step: string; readonly detail: string }
  /** Answered at once. */
  | { readonly kind: 'now' };

export interface Answer {
  readonly now: Instant;
  /** Of an `http` step only. */
  readonly response: HttpResponse | undefined;
}

export function* http(request: HttpRequest): Procedure<HttpResponse> {
  const { response } = yield { kind: 'http', request };
  if (response === undefined) throw new Error('an http step was resumed without a response');
  return response;
}

export function* sleep(ms: number): Procedure<void> {
  yield { kind: 'sleep', ms };
}

export function* progress(step: string, detail: string): Procedure<void> {
  yield { kind: 'progress', step, detail };
}

export function* currentTime(): Procedure<Instant> {
  return (yield { kind: 'now' }).now;
}
