import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CeaseSubcode } from '../../src/bgp/index.ts';
import type { ExportRoute } from '../../src/bgp/types.ts';
import { MICROSOFT_PREFIXES } from '../../src/lab/microsoft-prefixes.ts';
import { ip, prefix } from '../../src/lib/ip.ts';
import { type BgpDaemon, DAEMONS, type DaemonPlace, MARKS } from './bgp-daemons.ts';
import { CONFIG, CPE, createLink, removeLink, ZONE } from './bgp-link.ts';
import { BgpSpeaker } from './bgp-speaker.ts';
import { eventually } from './eventually.ts';

const MARKED = '20.20.32.0/19';
const PASSWORD = 'only-the-two-of-us';
const NETWORKS = ['10.1.20.0/24', '10.1.22.0/23'];
const ROUTES: readonly ExportRoute[] = [
  { prefix: prefix('10.1.20.0/24'), set: {} },
  {
    prefix: prefix('10.1.22.0/23'),
    set: {
      prepend: 2,
      med: 4_000_000_000,
      communities: [0x0064_0001, 0xffff_0000 + 300],
      largeCommunities: [
        [4_200_000_001, 1, 4_294_967_295],
        [65476, 0, 7],
      ],
    },
  },
];
beforeAll(createLink);
afterAll(removeLink);

describe.each(Object.entries(DAEMONS))('a session with %s', (_, create) => {
  let directory: string;
  let daemon: BgpDaemon;
  let speaker: BgpSpeaker;
  const begin = async (more: Partial<DaemonPlace> = {}): Promise<void> => {
    directory = await mkdtemp(join(tmpdir(), 'tunwright-bgp-'));
    await chmod(directory, 0o755);
    daemon = create({
      ...ZONE,
      namespace: ZONE.name,
      directory,
      neighbor: CPE.address,
      neighborAsn: CPE.asn,
      prefixes: MICROSOFT_PREFIXES,
      marked: MARKED,
      ...more,
    });
    await daemon.start();
  };
  afterEach(async () => {
    await speaker?.remove();
    await daemon.stop('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  });

  it('carries routes both ways, survives a crash of the peer, and ends with words that arrive', async () => {
    await begin();
    speaker = await BgpSpeaker.start(CPE.name, CONFIG, ROUTES);
    await exchanged();
    expect(speaker.view()).toMatchObject({ state: 'established', holdTimeSec: 180, keepaliveSec: 60 });
    const route = speaker.learned.get('52.96.0.0/14');
    expect(route).toMatchObject({
      origin: 'igp',
      asPath: [{ type: 'sequence', asns: [ZONE.asn] }],
      nextHop: ip(ZONE.address),
    });
    expect(speaker.learned.get(MARKED)).toMatchObject({
      origin: 'igp',
      asPath: [{ type: 'sequence', asns: [ZONE.asn, ...MARKS.asns] }],
      med: MARKS.med,
      communities: expect.toSatisfy(sameNumbers(MARKS.communities.map(([asn, value]) => asn * 65_536 + value))),
      largeCommunities: [MARKS.large],
    });

    expect(await daemon.attributes('10.1.20.0/24')).toEqual({
      asPath: [CPE.asn],
      nextHop: CPE.address,
      med: undefined,
      communities: [],
      largeCommunities: [],
    });
    expect(await daemon.attributes('10.1.22.0/23')).toEqual({
      asPath: [CPE.asn, CPE.asn, CPE.asn],
      nextHop: CPE.address,
      med: 4_000_000_000,
      communities: ['100:1', '65535:300'],
      largeCommunities: ['4200000001:1:4294967295', '65476:0:7'],
    });

    await daemon.stop('SIGKILL');
    await eventually('the crash shows', 2_000, () => speaker.view().state !== 'established');
    expect(speaker.learned.size).toBe(0);
    await daemon.start();
    await exchanged();
    expect(speaker.view().counters.sessionsEstablished).toBe(2);

    speaker.feed({ kind: 'stop', subcode: CeaseSubcode.AdministrativeShutdown, text: 'maintenance until 22:00' });
    await eventually('the peer knows why', 3_000, () => daemon.sawShutdown());
  });

  it('that the peer opens and both sign is taken, and a peer without the password is not', async () => {
    await begin({ dials: true, password: PASSWORD });
    const passive = { ...CONFIG, passive: true, signed: true };
    speaker = await BgpSpeaker.start(CPE.name, passive, ROUTES, PASSWORD);
    await exchanged();
    expect(await daemon.attributes('10.1.20.0/24')).toMatchObject({ asPath: [CPE.asn], nextHop: CPE.address });
    await speaker.remove();
    speaker = await BgpSpeaker.start(CPE.name, { ...CONFIG, signed: true }, ROUTES, `${PASSWORD}?`);
    await eventually('the attempt has failed', 15_000, () => speaker.view().lastError !== undefined);
    expect(speaker.view().lastError).toMatch(/cannot connect .* with the same TCP-MD5 password/);
    expect(speaker.view().counters.sessionsEstablished).toBe(0);
  });

  it('that the peer ends is explained', async () => {
    await begin();
    speaker = await BgpSpeaker.start(CPE.name, CONFIG, ROUTES);
    await exchanged();
    await daemon.stop('SIGTERM');
    await eventually('the end shows', 5_000, () => speaker.view().state !== 'established');
    expect(speaker.view().lastError).toMatch(
      /^peer 169\.254\.21\.2 (ended the session: Cease\/|closed the connection in state established)/,
    );
  });

  /** Each side holds what the other one announces; own networks that a peer sends back do not count. */
  async function exchanged(): Promise<void> {
    await eventually('the session is up and all prefixes are there', 20_000, async () => {
      const announced = [...speaker.learned.keys()].filter((each) => !NETWORKS.includes(each));
      const theirs = await daemon.learned();
      return announced.length === MICROSOFT_PREFIXES.length && theirs.join() === NETWORKS.join();
    });
  }
});

// helpers

/** In any order. */
const sameNumbers = (wanted: readonly number[]) => (found: readonly number[]) =>
  [...found].sort((a, b) => a - b).join() === [...wanted].sort((a, b) => a - b).join();
