import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ENV, MANUAL } from './config/branch.ts';

const PROGRAM = new URL('../../dist/main.js', import.meta.url).pathname;

describe('tunwrightd', () => {
  it('--check accepts a valid configuration without a word', () => {
    expect(run('--check', '--config', file(MANUAL))).toEqual({ code: 0, out: '', err: '' });
  });

  it('--check exits 11 and names the place of a mistake', () => {
    const { code, err } = run('--check', '--config', file(MANUAL.replace('suite: mix8', 'suite: mix9')));
    expect(code).toBe(11);
    expect(err).toMatch(/^tunwrightd: .*config\.yaml:\d+:\d+: links\[0\]\.ike\.suite: .*mix9/);
  });

  it.each([['--check'], []])('exits 11 when the configuration cannot be read (%s)', (...options) => {
    const { code, err } = run(...options, '--config', '/nonexistent/config.yaml');
    expect(code).toBe(11);
    expect(err).toMatch(/cannot read the configuration: .*\/nonexistent\/config\.yaml.*--config/);
  });

  it('exits 11 when keys would be exported and the command line does not allow it', () => {
    const config = file(`${MANUAL}debug: { export_keys: /tmp/keys }\n`);
    const { code, err } = run('--check', '--config', config);
    expect([code, err]).toEqual([11, expect.stringContaining('--allow-key-export')]);
    expect(run('--check', '--allow-key-export', '--config', config).code).toBe(0);
  });

  it('--help prints the usage and exits 0', () => {
    expect(run('--help')).toMatchObject({ code: 0, out: expect.stringMatching(/^Usage: tunwrightd/), err: '' });
  });

  it('--version prints the version of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(run('--version')).toMatchObject({ code: 0, out: `tunwrightd ${version}\n` });
  });

  it('exits 2 for an option it does not know', () => {
    expect(run('--frobnicate')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/--frobnicate.*tunwrightd --help/s),
    });
  });
});

function run(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...argv], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...ENV },
  });
  return { code: status, out: stdout, err: stderr };
}

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'tw-main-')), 'config.yaml');
  writeFileSync(path, text);
  return path;
}
