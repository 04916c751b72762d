import { run } from './process.ts';

const VIEWS = [
  ['ip', '-o', 'link', 'show'],
  ['ip', '-o', 'address', 'show'],
  ['ip', '-4', 'route', 'show', 'table', 'all'],
  ['ip', '-6', 'route', 'show', 'table', 'all'],
  ['ip', '-4', 'rule', 'show'],
  ['ip', '-6', 'rule', 'show'],
  ['ip', 'nexthop', 'show'],
  ['nft', 'list', 'ruleset'],
  ['sysctl', '--all', '--pattern', '^net\\.ipv[46]\\.(conf\\.|fib_|ip_forward)'],
] as const;

/** Everything that a daemon could leave in a namespace's kernel state, as text: two equal texts are two equal states. */
export async function snapshot(namespace: string): Promise<string> {
  const parts = [];
  for (const [command, ...args] of VIEWS) {
    const shown = await run(command, args, { namespace });
    parts.push(`# ${command} ${args.join(' ')}\n${normalise(shown)}`);
  }
  return parts.join('\n');
}

/** Order and countdowns differ between two looks at the same state. */
function normalise(shown: string): string {
  return shown
    .split('\n')
    .map((line) => line.replace(/ expires \S+/g, '').trimEnd())
    .filter((line) => line !== '')
    .sort()
    .join('\n');
}
