import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A script in a namespace that takes commands as lines of JSON, and answers each with a line: `{ result }`. */
export class LineDriver {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  readonly #waiting: ((result: unknown) => void)[] = [];
  #errors = '';

  constructor(namespace: string, script: string) {
    this.#child = spawn('ip', ['netns', 'exec', namespace, process.execPath, script]);
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
    this.#child.stderr.on('data', (chunk) => {
      this.#errors += chunk;
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const answer = JSON.parse(line);
      if ('result' in answer) this.#waiting.shift()?.(answer.result);
    });
  }

  /** The result of one command; rejects with the driver's last words when it ended instead. */
  ask(command: object): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    return Promise.race([
      new Promise((resolve) => this.#waiting.push(resolve)),
      this.#ended.then(() => Promise.reject(new Error(`the driver ended: ${this.#errors}`))),
    ]);
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }

  /** SIGKILL: nothing gets a chance to clean up. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
