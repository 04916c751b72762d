import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import type { Config } from '../../../src/config/types.ts';
import { branchConfig } from '../../../src/lab/branch-config.ts';
import { formatIp } from '../../../src/lib/ip.ts';

describe('the configuration of the branch', () => {
  it('is one that the daemon accepts', () => {
    expect(parseConfig(branchConfig({ secretFile: '/tmp/lab/client-secret', nat: true }), {}).ok).toBe(true);
  });

  it('names the public address only where a NAT hides it', () => {
    const behindNat = config({ nat: true }).wans[0]?.publicIp;
    expect(behindNat !== undefined && behindNat !== 'auto' && formatIp(behindNat)).toBe('203.0.113.10');
    expect(config({ nat: false }).wans[0]?.publicIp).toBe('auto');
  });

  it('keeps a path with a quote and a colon in one piece', () => {
    const secretFile = '/tmp/it\'s: a "lab"/client-secret';
    expect(config({ secretFile }).connectors[0]?.credential).toEqual({ kind: 'secret', secretFile });
  });
});

function config(files: Partial<Parameters<typeof branchConfig>[0]>): Config {
  const parsed = parseConfig(branchConfig({ secretFile: '/tmp/lab/client-secret', nat: true, ...files }), {});
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return parsed.value;
}
