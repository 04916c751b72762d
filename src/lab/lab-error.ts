/** Ends the lab with one sentence; `exitCode` is of the command line (docs: exit codes of `tunwright`). */
export class LabError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'LabError';
    this.exitCode = exitCode;
  }
}
