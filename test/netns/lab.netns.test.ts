import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SaView, StatusView } from '../../src/admin/wire.ts';
import { eventually } from './eventually.ts';
import { RunningProcess, run } from './process.ts';
import { ROOT } from './repository.ts';

const NOBODY = 65534;
const CLI = 'dist/cli/main.js';
/** From a built tree. */
const HEALTHY_WITHIN_S = 15;

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunwright-lab-test-'));
});
afterEach(async () => {
  for (const pid of labProcesses()) process.kill(pid, 'SIGKILL');
  await rm(directory, { recursive: true });
});

describe.each([
  ['root', 0],
  ['a user without any rights', NOBODY],
])('lab up --once as %s', (_, uid) => {
  it('brings a branch up, proves it and leaves nothing', async () => {
    await chown(directory, uid, uid);
    const lab = start(uid, 'up', '--once');
    const used = await namespacesUsedBy(lab);
    const { code } = await lab.exit;
    const output = lab.lines.join('\n');

    expect(code, output).toBe(0);
    expect(output).toContain('registered as "lab-01" in contoso');
    for (const [tunnel, endpoint] of [
      ['tw0', '198.51.100.20'],
      ['tw1', '198.51.100.84'],
    ]) {
      expect(output).toMatch(new RegExp(`^fiber +\\d +${tunnel} +${endpoint} +● \\S+ +● \\S+ +● \\S+ +25 `, 'm'));
      expect(output).toMatch(new RegExp(`^${tunnel} +[1-9]\\d* +[1-9]\\d* +5/5 replies`, 'm'));
    }
    expect(output).toMatch(/^WAN fiber: wan0 192\.168\.1\.2, behind NAT, outside 203\.0\.113\.10:\d+/m);
    expect(output).toContain('13.107.6.152/31 → tw0, tw1');
    expect(lab.lines.filter((line) => line.endsWith('→ tw0, tw1'))).toHaveLength(26);
    expect(output).toMatch(/probe target 198\.18\.1\.101, 16 source addresses: 32\/32 replies/);
    expect(output).toMatch(/announced prefixes: 25\/25 replies/);
    const up = (tunnel: string): string => `${tunnel} IKE and BGP up, prefixes 25/25`;
    expect(output).toContain(`${up('tw0')}; ${up('tw1')}`);
    expect(Number(/healthy after (\S+) s/.exec(output)?.[1])).toBeLessThan(HEALTHY_WITHIN_S);

    // One for each node, the one that holds the lab itself and, if it was seen, the one that was tried before.
    expect([7, 8]).toContain(used.size);
    expect(processesIn(used)).toEqual([]);
    expect(labProcesses()).toEqual([]);
    // `net:[number]` is also how a mount names the namespace that it keeps alive.
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    expect(mounts.filter((mount) => [...used].some((namespace) => mount.includes(namespace)))).toEqual([]);
  });
});

describe('a lab that stays', () => {
  it('answers on its socket from outside and ends with lab down', async () => {
    const lab = start(0, 'up');
    await upAndRunning(lab);
    const status = await ask<StatusView>('status');
    expect(status.health).toBe('ok');
    expect(status.registration.state).toBe('registered');
    // Both ends speak them, so both tunnels that just proved themselves use extended sequence numbers.
    expect((await ask<SaView[]>('ipsec', 'sa')).map(({ esn }) => esn)).toEqual([true, true]);
    const second = await start(0, 'up').exit;
    expect(second.code).toBe(1);

    const down = await start(0, 'down').exit;
    expect(down.code).toBe(0);
    expect((await lab.exit).code).toBe(0);
    expect(labProcesses()).toEqual([]);
    expect((await start(0, 'down').exit).code).toBe(3);
  });

  it('is gone when its command is killed', async () => {
    const lab = start(0, 'up');
    await upAndRunning(lab);
    process.kill(lab.pid, 'SIGKILL');
    await eventually('every process of the lab is gone', 10_000, () => labProcesses().length === 0);
  });

  it('ends with 1 and a sentence when one of its processes dies', async () => {
    const lab = start(0, 'up');
    await upAndRunning(lab);
    const gateway = labProcesses().find((pid) => commandLine(pid).includes('"endpoint":"198.51.100.20"'));
    process.kill(gateway ?? 0, 'SIGKILL');
    expect((await lab.exit).code).toBe(1);
    expect(lab.lines.at(-1)).toBe(`tunwright: zone1 ended (killed by SIGKILL): see ${directory}/logs/zone1.log`);
    expect(labProcesses()).toEqual([]);
  });
});

describe('lab up where something is missing', () => {
  const lab = ['dist/cli/main.js', 'lab', 'up', '--once', '--dir'];

  it('says that there is no /dev/net/tun', async () => {
    const script = `mount -t tmpfs none /dev/net && exec ${process.execPath} ${lab.join(' ')} ${directory}`;
    const refused = new RunningProcess('unshare', ['--mount', 'sh', '-c', `cd ${ROOT} && ${script}`]);
    expect((await refused.exit).code).toBe(1);
    expect(refused.lines).toEqual([expect.stringContaining('the lab needs /dev/net/tun: load the tun module')]);
  });

  it('says how to allow user namespaces', async () => {
    const script = `echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all \
      ${process.execPath} ${lab.join(' ')} ${directory}`;
    const refused = new RunningProcess('unshare', ['--user', '--map-root-user', 'sh', '-c', `cd ${ROOT} && ${script}`]);
    expect((await refused.exit).code).toBe(5);
    expect(refused.lines).toEqual([expect.stringContaining('sudo sysctl -w user.max_user_namespaces=10000')]);
  });
});

it('makes the NAT that nft shows', async () => {
  const options = JSON.stringify({ inside: '192.168.1.0/24', outside: '203.0.113.10' });
  const script = `${process.execPath} ${ROOT}/dist/lab/nat/main.js '${options}' && nft list ruleset`;
  expect(await run('unshare', ['--net', 'sh', '-c', script])).toBe(
    [
      '{"event":"done"}',
      'table ip lab-nat {',
      '\tchain postrouting {',
      '\t\ttype nat hook postrouting priority srcnat; policy accept;',
      '\t\tip saddr 192.168.1.0/24 snat to 203.0.113.10 fully-random',
      '\t}',
      '}',
      '',
    ].join('\n'),
  );
});

/** What a view of the CLI shows, from outside the lab. */
async function ask<View>(...words: readonly string[]): Promise<View> {
  const socket = join(directory, 'run/tunwright.sock');
  return JSON.parse(await run(process.execPath, [CLI, '--socket', socket, ...words, '-o', 'json'], {}));
}

/** `tunwright lab …`; as another user through a bind mount, so that it can read the tree wherever that lies. */
function start(uid: number, ...words: readonly string[]): RunningProcess {
  const lab = ['lab', ...words, '--dir', directory];
  if (uid === 0) return new RunningProcess(process.execPath, [join(ROOT, CLI), ...lab]);
  const tree = '/mnt';
  const as = `setpriv --reuid ${uid} --regid ${uid} --clear-groups`;
  const script = `mount --bind ${ROOT} ${tree} && cd / && exec ${as} ${process.execPath} ${tree}/${CLI} ${lab.join(' ')}`;
  return new RunningProcess('unshare', ['--mount', 'sh', '-c', script]);
}

async function upAndRunning(lab: RunningProcess): Promise<void> {
  await eventually(`the lab is up; so far ${lab.lines.at(-1)}`, 30_000, () => {
    if (!lab.running) throw new Error(lab.lines.join('\n'));
    return lab.lines.some((line) => line.startsWith('The lab runs until Ctrl-C'));
  });
}

/** Every network namespace that a process of the lab was seen in while it ran, but our own. */
async function namespacesUsedBy(lab: RunningProcess): Promise<Set<string>> {
  const seen = new Set<string>();
  await eventually('the lab has ended', 60_000, () => {
    for (const pid of labProcesses()) seen.add(networkOf(pid));
    return !lab.running;
  });
  seen.delete(networkOf(process.pid));
  seen.delete('');
  return seen;
}

const processesIn = (namespaces: ReadonlySet<string>): number[] =>
  allProcesses().filter((pid) => namespaces.has(networkOf(pid)));

/** Our command and the lab's own process name the directory, and so do all that descend from them. */
function labProcesses(): number[] {
  const parents = new Map(allProcesses().map((pid) => [pid, parentOf(pid)]));
  const isOurs = (pid: number): boolean => {
    if (pid <= 1 || pid === process.pid) return false;
    return commandLine(pid).includes(directory) || isOurs(parents.get(pid) ?? 0);
  };
  return [...parents.keys()].filter(isOurs);
}

const allProcesses = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

const parentOf = (pid: number): number =>
  Number(
    procFile(pid, 'stat')
      .replace(/^.*\) /, '')
      .split(' ')[1] ?? 0,
  );

const commandLine = (pid: number): string => procFile(pid, 'cmdline');

/** Empty for a process that has just ended. */
function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

function networkOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return '';
  }
}
