/** `npm run soak` sets it: the same tests with the long counts. */
export const SOAK = process.env['TUNWRIGHT_SOAK'] === '1';
