import type { ConfigIssue } from './types.ts';

/** One line per issue in the form editors jump to (`file:line:column: …`), an example below where there is one. */
export function formatIssues(file: string, issues: readonly ConfigIssue[]): string {
  return issues
    .map(({ line, column, path, message, example }) => {
      const where = `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
      return example === undefined ? where : `${where}\n    example: ${example}`;
    })
    .join('\n');
}
