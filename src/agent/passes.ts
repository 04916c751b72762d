/** How much a change concerns: learned routes; which sessions there are; tunnels, devices, policy. */
const CHANGES = ['routes', 'sessions', 'devices'] as const;
export type Change = (typeof CHANGES)[number];

/**
 * Asks for passes over the kernel's routes: changes of one turn of the event loop share one, for the most that any of them
 * concerns; a burst of UPDATEs must not cost one pass each. Knows whose changes are on their way.
 */
export class Passes {
  readonly #run: (change: Change) => Promise<void>;
  #scheduled: Promise<void> | undefined;
  #change: Change = 'devices';
  #asking = new Set<string>();
  readonly #underWay = new Set<ReadonlySet<string>>();

  /** `run` never rejects. */
  constructor(run: (change: Change) => Promise<void>) {
    this.#run = run;
  }

  /** Resolves when the kernel holds the result. `tunnels`: those that are not as they should be before. */
  request(change: Change, tunnels: Iterable<string>): Promise<void> {
    for (const tunnel of tunnels) this.#asking.add(tunnel);
    if (CHANGES.indexOf(change) > CHANGES.indexOf(this.#change)) this.#change = change;
    this.#scheduled ??= this.#pass();
    return this.#scheduled;
  }

  isWaiting(tunnel: string): boolean {
    return this.#asking.has(tunnel) || [...this.#underWay].some((tunnels) => tunnels.has(tunnel));
  }

  async #pass(): Promise<void> {
    await Promise.resolve(); // the rest of this turn's changes
    this.#scheduled = undefined;
    const [change, tunnels] = [this.#change, this.#asking];
    this.#change = 'routes';
    this.#asking = new Set();
    this.#underWay.add(tunnels);
    await this.#run(change);
    this.#underWay.delete(tunnels);
  }
}
