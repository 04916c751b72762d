/** The TUN devices that the kernel is taking away: their names are not free yet. */
export class LeavingDevices {
  readonly #leaving = new Map<string, Promise<void>>();

  /** Resolves when the device is gone; undefined when none of that name is leaving. */
  get(name: string): Promise<void> | undefined {
    return this.#leaving.get(name);
  }

  /** `gone` never rejects. */
  add(name: string, gone: Promise<void>): void {
    this.#leaving.set(
      name,
      gone.then(() => void this.#leaving.delete(name)),
    );
  }

  async settled(): Promise<void> {
    await Promise.all(this.#leaving.values());
  }
}
