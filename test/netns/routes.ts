import { run } from './process.ts';

/** A route as `ip route show table all` prints it, with its next hops. */
export interface KernelRoute {
  readonly prefix: string;
  readonly table: string;
  readonly protocol: string;
  readonly devices: readonly string[];
}

/** Every IPv4 route of a namespace. */
export async function routes(namespace: string): Promise<KernelRoute[]> {
  const shown = await run('ip', ['-4', '-d', 'route', 'show', 'table', 'all'], { namespace });
  // The next hops of a multipath route follow on lines of their own, indented.
  return shown.split(/\n(?=\S)/).map((entry) => {
    const words = entry.trim().split(/\s+/);
    const after = (key: string): string => words[words.indexOf(key) + 1] ?? '';
    return {
      prefix: words[1] ?? '',
      table: words.includes('table') ? after('table') : 'main',
      protocol: words.includes('proto') ? after('proto') : '',
      devices: [...new Set(words.flatMap((word, index) => (word === 'dev' ? [words[index + 1] ?? ''] : [])))].sort(),
    };
  });
}
