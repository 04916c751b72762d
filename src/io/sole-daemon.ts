import { createServer } from 'node:net';
import { err, ok, type Result } from '../lib/result.ts';

/** unix(7): a name in the abstract namespace belongs to one network namespace and goes with the process that holds it. */
const NAME = '\0tunwrightd';

/**
 * Makes this process the only daemon of its network namespace until it ends: devices, routes and rules of two would be the
 * same, and each would take the other's away.
 */
export function becomeSoleDaemon(): Promise<Result<void, string>> {
  return new Promise((resolve) => {
    const claim = createServer((stranger) => stranger.destroy());
    claim.unref();
    claim.once('listening', () => resolve(ok(undefined)));
    claim.once('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(err(refusal(code))));
    claim.listen(NAME);
  });
}

function refusal(code: string): string {
  if (code !== 'EADDRINUSE') return `cannot claim this network namespace with the unix socket @tunwrightd: ${code}`;
  return 'a tunwrightd runs in this network namespace already: stop it first (ss -xlp shows who holds @tunwrightd)';
}
