/** What the scripts share: one line per step with its time, and child processes whose output is kept until somebody needs it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The repository's top folder. */
export const ROOT = join(import.meta.dirname, '..');

/** A failure the user can act on: `message` is one line that says what is missing; `detail` is output worth showing above it. */
export class StepError extends Error {
  /**
   * @param {string} message
   * @param {string} [detail]
   */
  constructor(message, detail = '') {
    super(message);
    this.name = 'StepError';
    this.detail = detail;
  }
}

/**
 * Runs `action` and prints one line: the step's name, the word that `action` returned, seconds.
 * @param {string} name
 * @param {() => Promise<string>} action
 */
export async function step(name, action) {
  const started = performance.now();
  process.stdout.write(`${name.padEnd(20)} `);
  try {
    const outcome = await action();
    process.stdout.write(`${outcome.padEnd(28)} ${seconds(started)}\n`);
  } catch (error) {
    process.stdout.write(`${'failed'.padEnd(28)} ${seconds(started)}\n`);
    throw error;
  }
}

/**
 * Runs a program to its end in the repository's top folder.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, show?: boolean }} [options] `show`: let the output through instead of collecting it
 * @returns {Promise<{ code: number, output: string }>} code 127: there is no such program
 */
export function run(command, args, { env = process.env, show = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env,
      stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
    });
    let output = '';
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code, signal) =>
      resolve({ code: code ?? 128, output: signal ? `${output}\nended by ${signal}` : output }),
    );
  });
}

/**
 * The script's way out: prints what failed as one line, after its output, and ends with 1.
 * @param {string} script
 * @param {() => Promise<void>} body
 */
export async function main(script, body) {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    if (error.detail !== '') console.error(error.detail.trimEnd());
    console.error(`${script}: ${error.message}`);
    process.exitCode = 1;
  }
}

/** @param {string} program */
export function onPath(program) {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .some((folder) => folder !== '' && existsSync(join(folder, program)));
}

/** @param {number} started */
function seconds(started) {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}
