/** Exit codes of `tunwright`; documented, never renumbered. */
export const Exit = {
  ok: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  notFound: 4,
  permission: 5,
  timedOut: 6,
  degraded: 7,
  down: 8,
  configInvalid: 11,
} as const;

/** Ends a command with one sentence on standard error. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}
