import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { withTunnel } from './rekeyed-tunnel.ts';

it('`tunwright capture` writes what tshark reads, and refuses a second one meanwhile', { timeout: 60_000 }, () =>
  withTunnel({}, async (tunnel) => {
    const file = (side: string) => join(tunnel.topology.directory, `${side}.pcapng`);
    const rows = async (side: string, ...fields: string[]) =>
      (await run('tshark', ['-r', file(side), '-T', 'fields', ...fields.flatMap((field) => ['-e', field])])).split(
        '\n',
      );

    const capturing = tunnel.daemon.command('capture', 'inner', file('inner'), '--seconds', '5');
    // Too large a one, so that it never begins by itself.
    const tooLarge = ['capture', 'outer', file('outer'), '--packets', '16384', '--snap', '9216'];
    const refused = await eventually('a second capture is refused', 4_000, async () => {
      const second = await tunnel.daemon.command(...tooLarge);
      return !second.output.includes('64 MiB') && second;
    });
    expect(refused.code).toBe(1);
    expect(refused.output).toContain('are being captured already: wait for the end of that capture');
    expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
    expect(await capturing).toEqual({ code: 0, output: '' });
    const echoes = await rows('inner', 'icmp.type', 'frame.packet_flags_direction');
    // The daemon asks the far end, too.
    for (const row of ['8\t0x00000002', '0\t0x00000001'])
      expect(echoes.filter((each) => each === row).length).toBeGreaterThan(3);

    const outside = tunnel.daemon.command('capture', 'outer', file('outer'), '--seconds', '2');
    const { spiIn, spiOut } = await tunnel.settled();
    expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
    expect(await outside).toEqual({ code: 0, output: '' });
    const spis = new Set((await rows('outer', 'esp.spi')).map(Number));
    expect(spis.has(spiIn) && spis.has(spiOut)).toBe(true);
  }),
);
