/** `npm run soak` sets it: the same tests with the long counts. */
export const SOAK = process.env['TUNWRIGHT_SOAK'] === '1';

/** What a long run measured, for whoever reads its output; a short one is not worth quoting. */
export function figure(what: string, values: object): void {
  if (SOAK) process.stdout.write(`${what}: ${JSON.stringify(values)}\n`);
}
