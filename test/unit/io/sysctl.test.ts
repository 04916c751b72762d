import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateDirectory } from '../../../src/io/files.ts';
import { Sysctl } from '../../../src/io/sysctl.ts';

const HASH = 'net/ipv4/fib_multipath_hash_policy';
const FILTER = 'net/ipv4/conf/tw0/rp_filter';

let directory: string;
let state: StateDirectory;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tunwright-sysctl-'));
  mkdirSync(join(directory, 'sys/net/ipv4/conf/tw0'), { recursive: true });
  writeFileSync(join(directory, 'sys', HASH), '0\n');
  writeFileSync(join(directory, 'sys', FILTER), '0\n');
  state = await StateDirectory.open(join(directory, 'state'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('Sysctl', () => {
  it('sets values and restores those it found', async () => {
    const sysctl = await open();
    await sysctl.set(HASH, '1');
    await sysctl.set(FILTER, '2');
    await sysctl.set(FILTER, '1');
    expect([value(HASH), value(FILTER)]).toEqual(['1', '1']);
    await sysctl.restore();
    expect([value(HASH), value(FILTER)]).toEqual(['0', '0']);
    expect(readdirSync(state.path)).toEqual([]);
  });

  it('restores after a restart without a clean stop, with the value of before the first run', async () => {
    await (await open()).set(HASH, '1');
    const next = await open();
    await next.set(HASH, '2');
    await next.restore();
    expect(value(HASH)).toBe('0');
  });

  it('leaves alone what was already as wanted, what someone changed since, and what is gone', async () => {
    writeFileSync(join(directory, 'sys', HASH), '1\n');
    const sysctl = await open();
    await sysctl.set(HASH, '1');
    await sysctl.set(FILTER, '2');
    rmSync(join(directory, 'sys/net/ipv4/conf/tw0'), { recursive: true });
    writeFileSync(join(directory, 'sys', HASH), '3\n');
    await sysctl.restore();
    expect(value(HASH)).toBe('3');
  });

  it('says which setting it cannot change and how to set it by hand', async () => {
    const sysctl = await open();
    await expect(sysctl.set('net/ipv4/conf/tw9/rp_filter', '2')).rejects.toThrow(
      /^Cannot set sysctl net\/ipv4\/conf\/tw9\/rp_filter to 2: ENOENT.* sysctl -w net\.ipv4\.conf\.tw9\.rp_filter=2\.$/,
    );
    await expect(sysctl.set('net/../../etc/passwd', 'x')).rejects.toThrow(RangeError);
  });

  it('ignores a record it cannot trust', async () => {
    await state.write('sysctl.json', { changes: { '../../etc/x/y': { original: '1', ours: '2' }, [HASH]: 5 } });
    await (await open()).restore();
    expect(value(HASH)).toBe('0');
  });
});

const open = (): Promise<Sysctl> => Sysctl.open(state, join(directory, 'sys'));
const value = (key: string): string => readFileSync(join(directory, 'sys', key), 'utf8').trim();
