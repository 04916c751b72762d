const MASK = '[secret]';

/** Key material or a password. Prints as `[secret]` in templates, JSON and inspection; read it with `reveal()`. */
export class Secret {
  readonly #bytes: Uint8Array;

  /** Takes a copy: later changes to `bytes` do not show. */
  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(bytes); // not slice(): that of a Buffer is a view
  }

  static fromText(text: string): Secret {
    return new Secret(new TextEncoder().encode(text));
  }

  /** The octets themselves, not a copy: do not keep, print or change them. */
  reveal(): Uint8Array {
    return this.#bytes;
  }
  revealText(): string {
    return new TextDecoder().decode(this.#bytes);
  }
  toString(): string {
    return MASK;
  }
  toJSON(): string {
    return MASK;
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return MASK;
  }
}
