import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type MrtRoute, tableDump } from '../../src/bgp/index.ts';
import { updateRoutes } from '../../src/bgp/update-routes.ts';
import { decodeUpdate } from '../../src/bgp/wire/update.ts';
import { formatIp, ip } from '../../src/lib/ip.ts';
import { readExpected, readMrtTable } from '../unit/bgp/mrt.ts';
import { run } from './process.ts';

const TABLE = 'bgp/bview.20020722.2337';
const LOCAL_PREF_COLUMN = 9;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunwright-mrt-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('bgpdump reads a dump of a whole table as the table that it was: 115,521 routes', { timeout: 120_000 }, async () => {
  const peers = new Map<string, { place: number; asn: number }>();
  const routes: MrtRoute[] = [];
  for (const { time, peer, peerAs, update } of readMrtTable(`${TABLE}.gz`)) {
    const decoded = decodeUpdate(update, { asnOctets: 2 });
    if (!decoded.ok) throw new Error(decoded.error.detail);
    const [route] = updateRoutes(decoded.value).announced;
    const [prefix] = route?.prefixes ?? [];
    if (route === undefined || prefix === undefined) throw new Error('no route');
    const known = peers.get(formatIp(peer)) ?? { place: peers.size, asn: peerAs };
    peers.set(formatIp(peer), known);
    const entry = { peer: known.place, originatedAt: time, attributes: route.attributes };
    routes.push({ prefix, entries: [entry] });
  }
  const speakers = [...peers].map(([address, { asn }]) => ({ address: ip(address), routerId: ip(address), asn }));
  const file = join(directory, 'table.mrt');
  await writeFile(file, tableDump(1_027_377_420, ip('192.0.2.10'), speakers, routes));

  const shown = (await run('bgpdump', ['-m', file])).split('\n').filter((line) => line !== '');
  const expected = readExpected(`${TABLE}.expect.gz`).map((line) => line.replace(/\|0 0\.0\.0\.0\|$/, '||'));
  expect(shown.length).toBe(expected.length);
  // by hand: 115,521 expectations take half a minute
  for (const [i, line] of shown.entries()) {
    if (columns(line) !== columns(expected[i] ?? '')) expect(columns(line)).toBe(columns(expected[i] ?? ''));
  }
});

/** Without the name of the format, the time of the dump, and LOCAL_PREF, which no external peer has. */
function columns(line: string): string {
  const all = line.split('|').slice(2);
  all[LOCAL_PREF_COLUMN - 2] = '';
  return all.join('|');
}
