import { describe, expect, it } from 'vitest';
import { parseOptions, USAGE } from '../../src/options.ts';

describe('parseOptions', () => {
  it('runs with the documented defaults', () => {
    expect(parseOptions([])).toEqual({
      ok: true,
      value: {
        command: 'run',
        configFile: '/etc/tunwright/config.yaml',
        stateDirectory: '/var/lib/tunwright',
        runtimeDirectory: '/run/tunwright',
        allowKeyExport: false,
        logLevel: 'info',
      },
    });
  });

  it('takes every option', () => {
    const argv = '--config c.yaml --state-dir s --runtime-dir=r --log-level debug --allow-key-export'.split(' ');
    expect(parseOptions(argv)).toMatchObject({
      value: {
        command: 'run',
        configFile: 'c.yaml',
        stateDirectory: 's',
        runtimeDirectory: 'r',
        allowKeyExport: true,
        logLevel: 'debug',
      },
    });
  });

  it.each([
    ['check', ['--check']],
    ['cleanup', ['--cleanup']],
    ['version', ['--version']],
    ['help', ['--help']],
    ['help', ['--cleanup', '--help']],
  ])('means %s by %j', (command, argv) => {
    expect(parseOptions(argv)).toMatchObject({ value: { command } });
  });

  it.each([
    [['--confg', 'x'], /--confg/],
    [['--config'], /--config/],
    [['config.yaml'], /config\.yaml/],
    [['--log-level', 'loud'], /^--log-level takes debug, info, warn, error, not "loud"$/],
    [['--check=yes'], /--check/],
  ])('refuses %j and names what is wrong', (argv, message) => {
    const parsed = parseOptions(argv);
    expect(parsed.ok ? 'accepted' : parsed.error).toMatch(message);
  });

  it('has an entry in the usage for every option', () => {
    const options = [
      'config',
      'state-dir',
      'runtime-dir',
      'check',
      'cleanup',
      'log-level',
      'allow-key-export',
      'version',
      'help',
    ];
    for (const option of options) expect(USAGE).toContain(`--${option}`);
  });
});
