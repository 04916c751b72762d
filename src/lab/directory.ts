import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where things are below the lab's directory. */
export interface LabPaths {
  readonly directory: string;
  readonly config: string;
  readonly secret: string;
  readonly state: string;
  readonly runtime: string;
  readonly socket: string;
  readonly logs: string;
}

export function labPaths(directory: string): LabPaths {
  const runtime = join(directory, 'run');
  return {
    directory,
    runtime,
    config: join(directory, 'config.yaml'),
    secret: join(directory, 'client-secret'),
    state: join(directory, 'state'),
    socket: join(runtime, 'tunwright.sock'),
    logs: join(directory, 'logs'),
  };
}

export const logFile = (paths: LabPaths, role: string): string => join(paths.logs, `${role}.log`);

/** Takes away what an earlier lab left: the simulated tenant is a new one each time, so old state would be wrong. */
export async function freshDirectories(paths: LabPaths): Promise<void> {
  for (const path of [paths.state, paths.runtime, paths.logs]) {
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { mode: 0o700 });
  }
}

export async function writePrivate(path: string, content: string): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, content, { mode: 0o600, flag: 'wx' });
}
