import type { StatusView } from '../admin/wire.ts';
import { Exit } from '../cli/exit.ts';

/** Ends the lab with one sentence; `exitCode` is of the command line. */
export class LabError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = Exit.failed) {
    super(message);
    this.name = 'LabError';
    this.exitCode = exitCode;
  }
}

/** The branch did not come up in time. */
export class NotHealthy extends LabError {
  /** The last one seen; undefined when the daemon never answered. */
  readonly status: StatusView | undefined;

  constructor(message: string, status: StatusView | undefined) {
    super(message, Exit.timedOut);
    this.name = 'NotHealthy';
    this.status = status;
  }
}
