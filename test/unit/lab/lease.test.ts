import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stopLab, takeDirectory } from '../../../src/lab/lease.ts';

describe('the directory of a lab', () => {
  let parent = '';
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'lab-'));
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  it('is private to its user and names the process that runs in it', async () => {
    const directory = join(parent, 'lab');
    await takeDirectory(directory);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(JSON.parse(readFileSync(join(directory, 'lab.pid'), 'utf8'))).toMatchObject({ pid: process.pid });
  });

  it('has room for one lab at a time', async () => {
    const giveBack = await takeDirectory(parent);
    await expect(takeDirectory(parent)).rejects.toThrow(`a lab runs in ${parent} already (process ${process.pid})`);
    await giveBack();
    await expect(takeDirectory(parent)).resolves.toBeTypeOf('function');
  });

  it.each([
    ['a process that has our number but another birth', JSON.stringify({ pid: process.pid, started: '1' })],
    ['a process that is gone', JSON.stringify({ pid: 2 ** 22, started: '1' })],
    ['a file that is no record', 'half a rec'],
  ])('is free after %s, which is never signalled', async (_, record) => {
    writeFileSync(join(parent, 'lab.pid'), record);
    expect(await stopLab(parent)).toBe(false);
    await expect(takeDirectory(parent)).resolves.toBeTypeOf('function');
  });

  it('is refused when others may write to it', async () => {
    chmodSync(parent, 0o777);
    await expect(takeDirectory(parent)).rejects.toMatchObject({ exitCode: 5 });
  });

  it('is refused when it is a link to somewhere else', async () => {
    symlinkSync(parent, `${parent}/link`);
    await expect(takeDirectory(`${parent}/link`)).rejects.toMatchObject({ exitCode: 5 });
  });

  it.each([
    ['/run/lab', /has a \/run of its own/],
    [`/tmp/${'a'.repeat(100)}`, /too long for a unix socket/],
  ])('is refused at %s', async (directory, reason) => {
    await expect(takeDirectory(directory)).rejects.toThrow(reason);
  });
});
