const PAGE_BITS = 10;
const PAGE = 2 ** PAGE_BITS;

/** Values by row, for tables that grow to 100,000 rows: page by page, so that growing copies nothing and leaves nothing behind. */
export class Column<V> {
  readonly #pages: (V | undefined)[][] = [];

  get(row: number): V | undefined {
    return this.#pages[row >> PAGE_BITS]?.[row & (PAGE - 1)];
  }

  set(row: number, value: V | undefined): void {
    const page = row >> PAGE_BITS;
    while (this.#pages.length <= page) this.#pages.push(new Array(PAGE).fill(undefined));
    const values = this.#pages[page];
    if (values !== undefined) values[row & (PAGE - 1)] = value;
  }

  /** One more than the highest row that may have a value. */
  get length(): number {
    return this.#pages.length * PAGE;
  }

  clear(): void {
    this.#pages.length = 0;
  }
}
