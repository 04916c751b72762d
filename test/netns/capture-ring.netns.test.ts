import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from './process.ts';
import { StaticTunnel } from './static-tunnel.ts';
import { ping } from './traffic.ts';

const PINGS = 20;

describe.each([
  ['one thread', 1],
  ['several threads', 3],
])('a capture in the packet path of %s, read by tshark', (_, threads) => {
  let tunnel: StaticTunnel;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tunwright-capture-'));
    tunnel = await StaticTunnel.create({ tuning: { threads, processors: [], busyPollUs: 0 } });
  });
  afterAll(async () => {
    await tunnel?.remove();
    await rm(directory, { recursive: true, force: true });
  });

  /** Fields of each packet that was captured while twenty pings went through the tunnel. */
  async function capture(side: 'inner' | 'outer', fields: readonly string[]): Promise<string[]> {
    const file = join(directory, `${side}.pcapng`);
    await tunnel.near.capture(side);
    const pings = await ping(tunnel.near.namespace, '10.0.0.2', { count: PINGS, intervalMs: 5 });
    expect(pings).toMatchObject({ received: PINGS });
    await tunnel.near.captured(file);
    const output = await run('tshark', ['-r', file, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])]);
    return output.trim().split('\n');
  }

  it('shows each inner packet with its direction, in the order of time', async () => {
    const rows = await capture('inner', [
      'ip.src',
      'icmp.type',
      'icmp.seq',
      'frame.packet_flags_direction',
      'icmp.checksum.status',
    ]);
    const numbers = Array.from({ length: PINGS }, (_each, i) => i + 1);
    const requests = numbers.map((number) => `10.0.0.1\t8\t${number}\t0x00000002\t1`);
    const replies = numbers.map((number) => `10.0.0.2\t0\t${number}\t0x00000001\t1`);
    expect(rows.filter((row) => row.startsWith('10.0.0.1'))).toEqual(requests);
    expect(rows.filter((row) => row.startsWith('10.0.0.2'))).toEqual(replies);
    // A reply may be late, but never before its request.
    for (const [i, reply] of replies.entries()) {
      expect(rows.indexOf(reply)).toBeGreaterThan(rows.indexOf(requests[i] ?? ''));
    }
  });

  it('shows the ESP packets outside, with the ends and ports that they have on the wire', async () => {
    const rows = await capture('outer', ['ip.src', 'udp.dstport', 'esp.spi', 'frame.packet_flags_direction']);
    expect(rows).toHaveLength(2 * PINGS);
    expect(rows.filter((row) => row === '192.0.2.1\t4500\t0x00001001\t0x00000002')).toHaveLength(PINGS);
    expect(rows.filter((row) => row === '192.0.2.2\t4500\t0x00001002\t0x00000001')).toHaveLength(PINGS);
  });

  it('costs nothing afterwards: another one begins empty', async () => {
    expect(await capture('inner', ['ip.src'])).toHaveLength(2 * PINGS);
  });
});
