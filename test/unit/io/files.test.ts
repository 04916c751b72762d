import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSecretFile, StateDirectory, writeFileAtomic } from '../../../src/io/files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tunwright-files-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('writeFileAtomic', () => {
  it('replaces the content, keeps it private and leaves nothing else behind', async () => {
    const path = join(directory, 'state');
    await writeFileAtomic(path, 'old');
    await writeFileAtomic(path, 'new');
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['state']);
  });

  it('keeps the old content when the write fails, and says why', async () => {
    const target = join(directory, 'folder');
    await writeFileAtomic(join(directory, 'file'), 'x');
    await expect(writeFileAtomic(join(directory, 'file', 'below'), 'y')).rejects.toMatchObject({
      code: 'FILE_FAILED',
      message: expect.stringContaining('a part of the path is not a directory'),
    });
    await expect(writeFileAtomic(join(target, 'missing'), 'y')).rejects.toMatchObject({ code: 'FILE_MISSING' });
    expect(readdirSync(directory)).toEqual(['file']);
  });

  it('lets concurrent writers of one file each write a whole one', async () => {
    const path = join(directory, 'state');
    const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(5000));
    await Promise.all(texts.map((text) => writeFileAtomic(path, text)));
    expect(texts).toContain(readFileSync(path, 'utf8'));
    expect(readdirSync(directory)).toEqual(['state']);
  });
});

describe('readSecretFile', () => {
  const CASES = [
    { content: 'hunter2\n', secret: 'hunter2' },
    { content: 'hunter2\r\n', secret: 'hunter2' },
    { content: 'hunter2', secret: 'hunter2' },
    { content: 'two\nlines\n\n', secret: 'two\nlines\n' },
    { content: ' spaces stay ', secret: ' spaces stay ' },
  ];
  it.each(CASES)('takes one line break off $content', async ({ content, secret }) => {
    const path = join(directory, 'secret');
    writeFileSync(path, content, { mode: 0o600 });
    const read = await readSecretFile(path);
    expect(read.secret.revealText()).toBe(secret);
    expect(read.warning).toBeUndefined();
  });

  it('warns when others may read it', async () => {
    const path = join(directory, 'secret');
    writeFileSync(path, 'hunter2');
    chmodSync(path, 0o644);
    expect((await readSecretFile(path)).warning).toBe(
      `${path} has mode 0644: others may read this secret; chmod 600 it.`,
    );
  });

  it('refuses what cannot be a secret', async () => {
    const path = join(directory, 'secret');
    writeFileSync(path, '\n');
    await expect(readSecretFile(path)).rejects.toMatchObject({ code: 'FILE_REFUSED', path });
    writeFileSync(path, 'x'.repeat(65_537));
    await expect(readSecretFile(path)).rejects.toThrow('has 65537 octets, more than 65536');
    await expect(readSecretFile(directory)).rejects.toThrow('is not a regular file');
    await expect(readSecretFile(join(directory, 'none'))).rejects.toMatchObject({
      code: 'FILE_MISSING',
      message: expect.stringContaining('it does not exist; create it or correct the path'),
    });
  });
});

describe('StateDirectory', () => {
  it('reads back what it wrote, and undefined before that and after removal', async () => {
    const state = await StateDirectory.open(join(directory, 'a', 'b'));
    expect(statSync(state.path).mode & 0o777).toBe(0o700);
    expect(await state.read('x.json')).toBeUndefined();
    await state.write('x.json', { version: 1 });
    expect(await state.read('x.json')).toEqual({ version: 1 });
    await state.remove('x.json');
    expect(await state.read('x.json')).toBeUndefined();
  });

  it('removes what an interrupted write left, and only that', async () => {
    writeFileSync(join(directory, '.x.json.0123456789ab.tmp'), 'half');
    writeFileSync(join(directory, 'notes.tmp'), 'mine');
    await StateDirectory.open(directory);
    expect(readdirSync(directory)).toEqual(['notes.tmp']);
  });

  it('says which document is broken', async () => {
    const state = await StateDirectory.open(directory);
    writeFileSync(join(directory, 'x.json'), '{');
    await expect(state.read('x.json')).rejects.toMatchObject({ code: 'FILE_CORRUPT', path: join(directory, 'x.json') });
  });
});
