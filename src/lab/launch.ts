import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Exit } from '../cli/exit.ts';
import { LabError } from './lab-error.ts';

const PROGRAMS = { ip: 'iproute2', unshare: 'util-linux', nsenter: 'util-linux', mount: 'mount' } as const;
/** Network and mounts of our own; a process namespace, so that nothing outlives its first process. */
const NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--kill-child'] as const;
const AS_ROOT_OF_A_USER_NAMESPACE = ['--user', '--map-root-user'] as const;

export interface LaunchOptions {
  readonly directory: string;
  readonly once: boolean;
  readonly nat: boolean;
  readonly colourful: boolean;
}

/** Runs the lab in namespaces of its own until it ends or `interrupted`; gives its exit code. */
export async function launch(options: LaunchOptions, interrupted: AbortSignal): Promise<number> {
  checkPrograms(process.env['PATH'] ?? '');
  checkTun();
  const flags = await namespaceFlags();
  const userNamespace = flags.includes('--user');
  const script = fileURLToPath(new URL('main.js', import.meta.url));
  const args = [...flags, process.execPath, script, JSON.stringify({ ...options, userNamespace })];
  // A session of its own: Ctrl-C reaches us only, and the end of its standard input tells the lab to stop in order.
  const child = spawn('unshare', args, { stdio: ['pipe', 'inherit', 'inherit'], detached: true });
  child.stdin.on('error', () => undefined);
  const stop = (): void => void child.stdin.end();
  interrupted.addEventListener('abort', stop);
  if (interrupted.aborted) stop();
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? Exit.failed));
    });
  } finally {
    interrupted.removeEventListener('abort', stop);
  }
}

function checkPrograms(path: string): void {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  const missing = Object.entries(PROGRAMS).filter(
    ([name]) => !folders.some((folder) => existsSync(join(folder, name))),
  );
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name).join(', ');
  const packages = [...new Set(missing.map(([, name]) => name))].join(' ');
  throw new LabError(`the lab needs ${names} on the PATH: install them (Debian, Ubuntu: apt-get install ${packages})`);
}

function checkTun(): void {
  if (existsSync('/dev/net/tun')) return;
  throw new LabError(
    'the lab needs /dev/net/tun: load the tun module (modprobe tun), or pass the device into the container (--device /dev/net/tun)',
  );
}

/** What `unshare` needs here: root may do without a user namespace. Rejects with the reason when neither works. */
async function namespaceFlags(): Promise<readonly string[]> {
  const plain = process.getuid?.() === 0 ? [NAMESPACES] : [];
  const ways = [...plain, [...AS_ROOT_OF_A_USER_NAMESPACE, ...NAMESPACES]];
  let complaint = '';
  for (const flags of ways) {
    const attempt = await tryNamespaces(flags);
    if (attempt === undefined) return flags;
    complaint = attempt;
  }
  throw new LabError(`the lab may not make namespaces (${complaint}): ${remedy()}`, Exit.permission);
}

/** Undefined when it works. AppArmor lets the namespace come into being and then denies what is done in it. */
function tryNamespaces(flags: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('unshare', [...flags, 'ip', 'link', 'set', 'lo', 'up'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) => resolve(code === 0 ? undefined : complaint.trim().split('\n')[0] || `exit ${code}`));
  });
}

const LIMITS = [
  { file: 'kernel/apparmor_restrict_unprivileged_userns', forbids: '1', allow: '0' },
  { file: 'kernel/unprivileged_userns_clone', forbids: '0', allow: '1' },
  { file: 'user/max_user_namespaces', forbids: '0', allow: '10000' },
] as const;

function remedy(): string {
  const limit = LIMITS.find(({ file, forbids }) => readSetting(file) === forbids);
  if (limit === undefined) return 'run it as root; in a container add --cap-add SYS_ADMIN,NET_ADMIN or --privileged';
  return `run it as root, or allow user namespaces: sudo sysctl -w ${limit.file.replaceAll('/', '.')}=${limit.allow}`;
}

function readSetting(file: string): string | undefined {
  try {
    return readFileSync(join('/proc/sys', file), 'utf8').trim();
  } catch {
    return undefined; // this kernel has no such limit
  }
}
