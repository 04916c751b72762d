import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type LabPaths, logFile } from './directory.ts';
import type { LabError } from './lab-error.ts';
import { inside } from './namespaces.ts';
import { Role } from './role.ts';
import type { LabNode } from './topology.ts';

const ready = z.object({ event: z.literal('ready') });

export interface RoleSpec {
  readonly name: string;
  readonly node: LabNode;
  /** Compiled program below this folder, such as `gateway/main.js`. */
  readonly program: string;
  readonly args: readonly string[];
  readonly input?: string;
  readonly outputHoldsKeys?: boolean;
  readonly onMessage?: (message: unknown) => void;
}

/** The processes of a lab: started in their namespaces, watched, ended together. */
export class Roles {
  readonly #paths: LabPaths;
  readonly #running: Role[] = [];
  #stopping = false;
  #fail: (error: LabError) => void = () => undefined;
  /** Rejects when a role ends that should stay. */
  readonly failed: Promise<never>;

  constructor(paths: LabPaths) {
    this.#paths = paths;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // It is awaited together with each step; between two steps nobody does.
    this.failed.catch(() => undefined);
  }

  /** One that stays until `stop`. */
  start(spec: RoleSpec): Role {
    const role = this.#spawn(spec, spec.onMessage);
    this.#running.push(role);
    void role.end.then((how) => {
      if (!this.#stopping) this.#fail(role.failure(how));
    });
    return role;
  }

  /** The same, once it has said that it is ready. */
  async startReady(spec: RoleSpec): Promise<Role> {
    return new Promise((resolve, reject) => {
      const role = this.start({
        ...spec,
        onMessage: (message) => {
          if (ready.safeParse(message).success) resolve(role);
          spec.onMessage?.(message);
        },
      });
      void role.end.then((how) => reject(role.failure(how)));
    });
  }

  /** One that does its work and ends: the message it gives. */
  async ask<T>(spec: RoleSpec, answer: z.ZodType<T>): Promise<T> {
    const messages: unknown[] = [];
    const role = this.#spawn(spec, (message) => messages.push(message));
    const how = await role.end;
    const parsed = answer.safeParse(messages[0]);
    if (!parsed.success) throw role.failure(how);
    return parsed.data;
  }

  /** In the reverse order of their start, so that the branch says goodbye while somebody listens. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const role of this.#running.splice(0).reverse()) await role.stop();
  }

  #spawn(
    { name, node, program, args, input, outputHoldsKeys }: RoleSpec,
    onMessage?: (message: unknown) => void,
  ): Role {
    const script = fileURLToPath(new URL(program, import.meta.url));
    const role = new Role({
      name,
      command: inside(node, process.execPath, script, ...args),
      logFile: logFile(this.#paths, name),
      outputHoldsKeys: outputHoldsKeys ?? false,
      ...(onMessage === undefined ? {} : { onMessage }),
    });
    if (input !== undefined) role.endInput(input);
    return role;
  }
}
