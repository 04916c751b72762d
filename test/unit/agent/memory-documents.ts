import type { StateDocuments } from '../../../src/agent/state-store.ts';

/** JSON goes through text, as on a disk. */
export class MemoryDocuments implements StateDocuments {
  full = false;
  readonly #texts: Map<string, string>;

  constructor(documents: Readonly<Record<string, unknown>> = {}) {
    this.#texts = new Map(Object.entries(documents).map(([name, value]) => [name, JSON.stringify(value)]));
  }
  async read(name: string): Promise<unknown> {
    const text = this.#texts.get(name);
    return text === undefined ? undefined : JSON.parse(text);
  }
  async write(name: string, value: unknown): Promise<void> {
    if (this.full) throw new Error('no space left on the device');
    this.#texts.set(name, JSON.stringify(value));
  }
}
