import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { LabError } from './lab-error.ts';
import { cabling, type LabNode, nodeSetup } from './topology.ts';

const NETNS_DIRECTORY = '/run/netns';

/** Named namespaces on a /run of our own, and the cables between them. The mount namespace must be private already. */
export async function buildNamespaces(): Promise<void> {
  await run('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', '/run']);
  await mkdir(NETNS_DIRECTORY);
  await run('ip', ['-batch', '-'], `${cabling().join('\n')}\n`);
}

/** Addresses, routes and kernel settings of one node. */
export async function setUpNode(node: LabNode, nat: boolean): Promise<void> {
  const { sysctls, batch } = nodeSetup(node, nat);
  const settings = sysctls.map(([key, value]) => `echo ${value} > /proc/sys/${key}`);
  const script = [...settings, 'exec ip -batch -'].join(' && ');
  const [program, ...args] = inside(node, 'sh', '-c', script);
  await run(program, args, `${batch.join('\n')}\n`);
}

/** The command line that runs a program on a node. Not `ip netns exec`: that mounts /sys, which user namespaces may refuse. */
export function inside(node: LabNode, ...command: readonly string[]): [string, ...string[]] {
  return ['nsenter', `--net=${NETNS_DIRECTORY}/${node}`, '--', ...command];
}

/** What a program printed. Rejects with what it complained about. */
export function run(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const words = stderr.trim().split('\n').join('; ') || error.message;
      reject(new LabError(`${[program, ...args].join(' ')} failed: ${words}`));
    });
    // A program that ends before it has read everything says so by its exit code.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
