import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, createWriteStream, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { LabError } from './lab-error.ts';
import { parseJson } from './role-process.ts';

const GRACE_MS = 6_000;

export interface RoleOptions {
  readonly name: string;
  /** The program, entered into its namespace, and its arguments. */
  readonly command: readonly string[];
  /** Receives what the process writes to standard error, and to standard output unless that holds keys. */
  readonly logFile: string;
  readonly outputHoldsKeys?: boolean;
  /** Each line of standard output, parsed where it is JSON. */
  readonly onMessage?: (message: unknown) => void;
}

/** One process of the lab. */
export class Role {
  readonly name: string;
  /** How it ended, in words. Resolves once, never rejects. */
  readonly end: Promise<string>;
  readonly #logFile: string;
  readonly #child: ChildProcess;
  readonly #input: Writable;

  constructor({ name, command, logFile, outputHoldsKeys = false, onMessage }: RoleOptions) {
    this.name = name;
    this.#logFile = logFile;
    const [program = '', ...args] = command;
    const errors = openSync(logFile, 'a', 0o600);
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', errors] });
    closeSync(errors);
    this.#child = child;
    const [input, output] = child.stdio as [Writable, Readable, ...unknown[]];
    this.#input = input;
    // A process that has ended reads no more; its end is reported by `end`.
    input.on('error', () => undefined);
    if (!outputHoldsKeys) output.pipe(createWriteStream(logFile, { flags: 'a' }).on('error', () => output.unpipe()));
    createInterface({ input: output }).on('line', (line) => onMessage?.(parseJson(line)));
    this.end = new Promise((resolve) => {
      child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      child.once('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : `killed by ${signal}`));
    });
  }

  /** One JSON line on its standard input. */
  send(message: object): void {
    this.#input.write(`${JSON.stringify(message)}\n`);
  }
  /** All that it will ever get on its standard input. */
  endInput(text: string): void {
    this.#input.end(text);
  }

  /** SIGTERM, and SIGKILL for one that does not listen. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), GRACE_MS);
    await this.end;
    clearTimeout(killer);
  }

  /** What to tell when it ended too early. */
  failure(how: string): LabError {
    return new LabError(`${this.name} ended (${how}): see ${this.#logFile}`);
  }
}
