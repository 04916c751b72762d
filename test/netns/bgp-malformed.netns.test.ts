import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GOOD, RFC7606 } from '../unit/bgp/rfc7606.ts';
import { type BgpDaemon, DAEMONS } from './bgp-daemons.ts';
import { CONFIG, CPE, createLink, removeLink, ZONE } from './bgp-link.ts';
import { BgpSpeaker } from './bgp-speaker.ts';
import { eventually } from './eventually.ts';

const SOUND = '52.96.0.0/14';

/** ExaBGP makes ORIGIN, AS_PATH and NEXT_HOP itself, and sends no LOCAL_PREF to another AS. */
const OWN = [1, 2, 3, 5];

/** What ExaBGP can be told to send: one whole attribute of a kind that it does not add by itself, beside good ones. */
const SENDABLE = RFC7606.flatMap((row) => {
  const attribute = row.attributes.startsWith(GOOD) ? readAttribute(row.attributes.slice(GOOD.length)) : undefined;
  return attribute === undefined ? [] : [{ row, ...attribute }];
});
const ROUTES = SENDABLE.filter(({ row }) => typeof row.outcome === 'string');
const RESETS = SENDABLE.filter(({ row }) => typeof row.outcome === 'number');

beforeAll(createLink);
afterAll(removeLink);

describe('malformed UPDATEs that ExaBGP sends', () => {
  let directory: string;
  let daemon: BgpDaemon | undefined;
  let speaker: BgpSpeaker | undefined;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tunwright-bgp-'));
    await chmod(directory, 0o755);
  });
  afterEach(async () => {
    await speaker?.remove();
    await daemon?.stop('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  });

  it(`cost their own routes at most: ${ROUTES.length} rows of RFC 7606`, async () => {
    const attributes = new Map(ROUTES.map(({ words }, i) => [prefixOf(i), words]));
    const kept = ROUTES.flatMap(({ row }, i) => (row.outcome === 'withdraw' ? [] : [prefixOf(i)]));
    await start(attributes);
    await eventually('the sound routes are there', 20_000, () => kept.every((prefix) => speaker?.learned.has(prefix)));
    await eventually('the table is told', 5_000, () => speaker?.learned.has(SOUND));
    const wrong = ROUTES.filter(({ row }, i) => speaker?.learned.has(prefixOf(i)) !== (row.outcome !== 'withdraw'));
    expect(wrong.map(({ row }) => row.name)).toEqual([]);
    const malformed = ROUTES.filter(({ row }) => row.outcome !== 'accept').length;
    const { state, counters } = speaker?.view() ?? {};
    expect([state, counters?.sessionsEstablished]).toEqual(['established', 1]);
    // ExaBGP packs prefixes with the same attributes into one UPDATE
    expect(counters?.malformedUpdates).toBeGreaterThan(malformed / 2);
  });

  it.each(RESETS.map(({ row, words }) => ({ name: row.name, words, outcome: row.outcome })))(
    'end the session with UPDATE error $outcome: $name',
    async ({ words, outcome }) => {
      await start(new Map([[prefixOf(0), words]]));
      const code = {
        1: 'Malformed Attribute List',
        2: 'Unrecognized Well-known Attribute',
        9: 'Optional Attribute Error',
      }[Number(outcome)];
      await eventually('the session has ended', 10_000, () => speaker?.view().lastError?.includes(`${code}`));
      expect(speaker?.learned.has(prefixOf(0))).toBe(false);
    },
  );

  async function start(attributes: ReadonlyMap<string, string>): Promise<void> {
    daemon = DAEMONS['ExaBGP']?.({
      ...ZONE,
      namespace: ZONE.name,
      directory,
      neighbor: CPE.address,
      neighborAsn: CPE.asn,
      prefixes: [...attributes.keys(), SOUND],
      attributes,
    });
    await daemon?.start();
    speaker = await BgpSpeaker.start(CPE.name, CONFIG, []);
  }
});

function prefixOf(i: number): string {
  return `60.${i}.0.0/16`;
}

/** One attribute, in ExaBGP's words; undefined: there is more than one, or less, or one that ExaBGP makes itself. */
function readAttribute(hex: string): { readonly words: string } | undefined {
  const octets = Buffer.from(hex, 'hex');
  const [flags = 0, type = 0] = octets;
  const extended = (flags & 0x10) !== 0;
  const start = extended ? 4 : 3;
  const length = extended ? ((octets[2] ?? 0) << 8) + (octets[3] ?? 0) : (octets[2] ?? 0);
  if (octets.length < start || octets.length !== start + length || OWN.includes(type)) return undefined;
  const value = octets.subarray(start).toString('hex');
  return { words: `attribute [ 0x${type.toString(16)} 0x${(flags & ~0x10).toString(16)} 0x${value} ]` };
}
