/** One scripted misbehaviour. JSON, so that a lab scenario can hand it over. */
export interface Fault {
  readonly method?: string;
  /** Matches when the path, without query, ends with it; absent: any. */
  readonly path?: string;
  /** Matching requests to let pass first. */
  readonly skip?: number;
  /** How often it strikes; default 1. */
  readonly times?: number;
  readonly effect: FaultEffect;
}

export type FaultEffect =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** `Retry-After`, seconds or a date. */
      readonly retryAfter?: string;
      readonly message?: string;
      /** `after`: the request takes effect and fails all the same. */
      readonly when?: 'before' | 'after';
    }
  | { readonly kind: 'delay'; readonly ms: number }
  /** The connection is reset without an answer. */
  | { readonly kind: 'reset' }
  /** 200 with a web page, as a captive portal gives. */
  | { readonly kind: 'web-page' };

/** The faults still to strike. */
export class FaultList {
  readonly #pending: { readonly fault: Fault; skip: number; times: number }[] = [];

  constructor(faults: readonly Fault[]) {
    for (const fault of faults) this.add(fault);
  }

  add(fault: Fault): void {
    this.#pending.push({ fault, skip: fault.skip ?? 0, times: fault.times ?? 1 });
  }
  clear(): void {
    this.#pending.length = 0;
  }

  /** The effect that this request suffers, if any; counts it. */
  strike(method: string, path: string): FaultEffect | undefined {
    for (const pending of this.#pending) {
      const { fault } = pending;
      const matches = (fault.method ?? method) === method && path.endsWith(fault.path ?? '');
      if (!matches || pending.times <= 0) continue;
      if (pending.skip > 0) {
        pending.skip--;
        continue;
      }
      pending.times--;
      return fault.effect;
    }
    return undefined;
  }
}
