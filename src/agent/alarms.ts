export interface Alarm {
  readonly code: string;
  readonly severity: 'warning' | 'critical';
  readonly message: string;
  readonly since: Date;
}

/** What is wrong now. Raising the same code again keeps its start; a code is cleared by whoever raised it. */
export class Alarms {
  readonly #wall: () => Date;
  readonly #active = new Map<string, Alarm>();

  constructor(wall: () => Date) {
    this.#wall = wall;
  }

  /** True when the alarm is new or says something else than before. */
  raise(code: string, severity: Alarm['severity'], message: string): boolean {
    const known = this.#active.get(code);
    this.#active.set(code, { code, severity, message, since: known?.since ?? this.#wall() });
    return known?.message !== message;
  }

  clear(code: string): boolean {
    return this.#active.delete(code);
  }

  list(): readonly Alarm[] {
    return [...this.#active.values()];
  }
}
