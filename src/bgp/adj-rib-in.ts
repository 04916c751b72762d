import { comparePrefix, type Prefix, prefixKey } from '../lib/ip.ts';
import type { Instant } from '../lib/time.ts';
import type { ImportVerdict } from './import-policy.ts';
import type { BgpRoute, PathAttributes } from './types.ts';

/** One prefix as a peer announced it, and what import policy made of it. */
export interface ReceivedRoute {
  readonly prefix: Prefix;
  readonly attributes: PathAttributes;
  readonly verdict: ImportVerdict;
  /** When the present attributes came. */
  readonly receivedAt: Instant;
}

/** RFC 4271 §3.2: what one peer has told us and not taken back, rejected routes included so that they can be shown. */
export class AdjRibIn {
  readonly #routes = new Map<number | string, ReceivedRoute>();
  #accepted = 0;

  /** Prefixes held. */
  get size(): number {
    return this.#routes.size;
  }
  /** Of these, how many import policy let pass. */
  get accepted(): number {
    return this.#accepted;
  }

  announce(route: BgpRoute, verdict: ImportVerdict, now: Instant): void {
    const key = prefixKey(route.prefix);
    if (this.#routes.get(key)?.verdict.accepted) this.#accepted--;
    if (verdict.accepted) this.#accepted++;
    const { prefix, attributes } = route;
    this.#routes.set(key, { prefix, attributes, verdict, receivedAt: now });
  }

  /** False when the peer had not announced it. */
  withdraw(prefix: Prefix): boolean {
    const key = prefixKey(prefix);
    if (this.#routes.get(key)?.verdict.accepted) this.#accepted--;
    return this.#routes.delete(key);
  }

  clear(): void {
    this.#routes.clear();
    this.#accepted = 0;
  }

  get(prefix: Prefix): ReceivedRoute | undefined {
    return this.#routes.get(prefixKey(prefix));
  }

  /** All of them, by prefix. */
  routes(): ReceivedRoute[] {
    return [...this.#routes.values()].sort((a, b) => comparePrefix(a.prefix, b.prefix));
  }
}
