import { formatIp, formatPrefix } from '../lib/ip.ts';
import type { Config } from './types.ts';

export type Printable = string | number | boolean | null | readonly Printable[] | { readonly [key: string]: Printable };

/**
 * The configuration as JSON for people and logs: addresses as text, milliseconds as they are, file names but never
 * contents. The query of a probe's URL is masked, since operators put tokens there.
 */
export function printableConfig(config: Config): Printable {
  return printable({
    ...config,
    probes: config.probes.map((probe) => ({ ...probe, http: probe.http.replace(/\?.*$/s, '?…') })),
  });
}

function printable(value: unknown): Printable {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.map(printable);
  if (isAddress(value)) return formatIp(value);
  if (isPrefix(value)) return formatPrefix(value);
  if (typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, printable(item)]));
  return typeof value === 'number' || typeof value === 'boolean' ? value : String(value);
}

const isAddress = (value: unknown): value is Parameters<typeof formatIp>[0] =>
  typeof value === 'object' && value !== null && 'bytes' in value && value.bytes instanceof Uint8Array;

const isPrefix = (value: unknown): value is Parameters<typeof formatPrefix>[0] =>
  typeof value === 'object' && value !== null && 'address' in value && isAddress(value.address) && 'length' in value;
