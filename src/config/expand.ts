import { type Complaint, complaint, type Path } from './issue.ts';

/**
 * Replaces `${VAR}` in file paths: the values of keys that end in `_file` and the items of `files`. Nowhere else, so that
 * no other setting changes with the environment.
 */
export function expandPaths(
  value: unknown,
  env: Readonly<Record<string, string>>,
): { readonly value: unknown; readonly complaints: readonly Complaint[] } {
  const complaints: Complaint[] = [];
  const expand = (node: unknown, path: Path): unknown => {
    if (Array.isArray(node)) return node.map((item, i) => expand(item, [...path, i]));
    if (typeof node === 'object' && node !== null)
      return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, expand(item, [...path, key])]));
    if (typeof node !== 'string' || !isFilePath(path)) return node;
    return node.replace(/\$\{([^}]*)\}/g, (whole, name: string) => {
      const replacement = Object.hasOwn(env, name) ? env[name] : undefined;
      if (replacement !== undefined && replacement !== '') return replacement;
      complaints.push(complaint(path, unset(name)));
      return whole;
    });
  };
  return { value: expand(value, []), complaints };
}

/** By its key: `…_file`, or an item of `files`. */
export function isFilePath(path: Path): boolean {
  const [parent, last] = [path.at(-2), path.at(-1)];
  return parent === 'files' || (typeof last === 'string' && last.endsWith('_file'));
}

function unset(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return `expected \${NAME} with letters, digits and "_", got \${${name}}`;
  const hint = name === 'CREDENTIALS_DIRECTORY' ? 'systemd sets it when the unit has LoadCredential=' : 'set it';
  return `the environment variable ${name} is not set: ${hint}, or write the path out`;
}
