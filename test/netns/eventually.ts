import { setTimeout as wait } from 'node:timers/promises';

const PAUSE_MS = 50;

/** Thrown by a probe when waiting longer cannot help. */
export class Hopeless extends Error {}

/**
 * Waits until `probe` gives something other than undefined or false, and gives that. A probe that throws has not happened yet.
 * Rejects after `deadlineMs` with `what` was awaited and what the last probe said.
 */
export async function eventually<T>(
  what: string,
  deadlineMs: number,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  let obstacle: unknown = 'the condition was never met';
  do {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      obstacle = error;
    }
    await wait(PAUSE_MS);
  } while (performance.now() < deadline);
  throw new Error(`not within ${deadlineMs} ms: ${what} (${obstacle instanceof Error ? obstacle.message : obstacle})`);
}
