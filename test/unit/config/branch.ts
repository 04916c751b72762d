import { readFileSync } from 'node:fs';
import { parseConfig } from '../../../src/config/parse.ts';
import type { Config } from '../../../src/config/types.ts';

/** The documented example, with Microsoft's half under `peers` as `manage: manual` wants it. */
const text = readFileSync(new URL('branch.yaml', import.meta.url), 'utf8');

export const ENV = { CREDENTIALS_DIRECTORY: '/run/credentials/tunwrightd.service' };
export const MANUAL = text.replace('manage: create', 'manage: manual');
/** Without `peers`: registered through Graph. */
export const REGISTERED = text.replace(/^ {4}peers:\n(^ {6}- .*\n)+/m, '');

export function parsed(yaml: string): Config {
  const result = parseConfig(yaml, ENV);
  if (!result.ok) throw new Error(JSON.stringify(result.error, null, 2));
  return result.value;
}

/** Each issue as `line:column path: message`. */
export function issuesOf(yaml: string, env: Readonly<Record<string, string>> = ENV): string[] {
  const result = parseConfig(yaml, env);
  if (result.ok) return [];
  return result.error.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}
