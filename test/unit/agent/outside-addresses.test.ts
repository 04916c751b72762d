import { describe, expect, it } from 'vitest';
import { Alarms } from '../../../src/agent/alarms.ts';
import { EventLog } from '../../../src/agent/event-log.ts';
import { OutsideAddresses, type OutsideAddressesDeps } from '../../../src/agent/outside-addresses.ts';
import { StateStore } from '../../../src/agent/state-store.ts';
import type { TunnelSpec } from '../../../src/agent/tunnel-spec.ts';
import type { Config, WanConfig } from '../../../src/config/types.ts';
import type { PeerSighting } from '../../../src/ike/types.ts';
import type { Endpoint } from '../../../src/lib/esp-sa.ts';
import { formatPrefix, type IpAddress, ip } from '../../../src/lib/ip.ts';
import { instant } from '../../../src/lib/time.ts';
import { MemoryDocuments } from './memory-documents.ts';
import { branchConfig, branchSpecs } from './zone-peers.ts';

const PRIVATE = ip('192.168.1.2');
const A = ip('203.0.113.7');
const B = ip('203.0.113.9');

describe('the public address of a WAN', () => {
  const known = { fiber: { inside: '192.168.1.2', outside: '203.0.113.7' } };
  it.each<[string, string, string, typeof known | undefined, string]>([
    ['what is written down', '198.51.100.9', '192.168.1.2', known, '198.51.100.9'],
    ['its own, when nothing else is known', 'auto', '192.0.2.10', undefined, '192.0.2.10'],
    ['what a peer saw last, behind a NAT', 'auto', '192.168.1.2', known, '203.0.113.7'],
    ['the same after the router gave another private one', 'auto', '192.168.1.77', known, '203.0.113.7'],
    ['its own again, once that is public', 'auto', '192.0.2.10', known, '192.0.2.10'],
  ])('is %s', async (_, publicIp, own, document, expected) => {
    const { outside, wan } = await setUp({ publicIp, own: ip(own), known: document });
    expect(outside.publicAddress(wan)).toEqual({ ok: true, value: ip(expected) });
  });

  it('is what a peer saw, also when our own looks public', async () => {
    const { outside, wan, see } = await setUp({ own: ip('25.0.0.7') });
    see(1, A);
    expect(outside.publicAddress(wan)).toEqual({ ok: true, value: A });
  });

  it.each([
    ['no address at all', undefined, /^WAN fiber has no IPv4 address yet.*waiting for it$/],
    [
      'a private one that nobody has seen from outside',
      ip('100.64.3.4'),
      /^WAN fiber has the private address 100\.64\.3\.4 .*: write it to wans\[\]\.public_ip \(/,
    ],
  ])('is a sentence when there is %s', async (_, own, sentence) => {
    const { outside, wan } = await setUp({ own });
    expect(outside.publicAddress(wan)).toEqual({ ok: false, error: expect.stringMatching(sentence) });
  });
});

describe('what peers saw of us', () => {
  it('needs no search where there is no NAT', async () => {
    const { outside, searched, sight, messages } = await setUp({ own: ip('192.0.2.10') });
    sight(1, { translated: false });
    expect(outside.of('fiber/1')).toMatchObject({
      endpoint: { address: ip('192.0.2.10'), port: 500 },
      insidePort: 500,
    });
    expect(searched).toEqual([]);
    expect(messages()).toEqual(['info fiber/1 the gateway sees us at 192.0.2.10:500: no NAT is between']);
  });

  it('is looked for among all that is known, that of this WAN first', async () => {
    const { searched, sight } = await setUp({ known: { fiber: { inside: '192.168.1.2', outside: '203.0.113.7' } } });
    sight(1);
    expect(searched[0]?.steps.slice(0, 3)).toEqual(['203.0.113.7/32 500', '192.168.1.2/32 500', '203.0.113.7/32 4500']);
    expect(searched[0]?.question.hash).toEqual(HASH);
  });

  it('is remembered over a restart, and told once', async () => {
    const { outside, documents, messages, see } = await setUp();
    see(1, A, 61_234);
    see(1, A, 61_234);
    see(2, A, 500);
    expect(outside.of('fiber/1')).toMatchObject({ endpoint: { address: A, port: 61_234 }, insidePort: 500 });
    expect(messages()).toEqual([
      'info fiber/1 the gateway sees us at 203.0.113.7:61234, behind a NAT that rewrites port 500',
      'info fiber/2 the gateway sees us at 203.0.113.7:500, behind a NAT that keeps port 500',
    ]);
    expect(documents.writes).toBe(1);
    const store = await StateStore.open(documents);
    expect(store.outside('fiber')).toEqual({ inside: PRIVATE, outside: A });
  });

  it('is a warning with a remedy when it is not found, and changes nothing', async () => {
    const { outside, state, messages, see } = await setUp();
    see(1, undefined);
    expect(outside.of('fiber/1')).toMatchObject({ endpoint: undefined, insidePort: 500 });
    expect(state.outside('fiber')).toBeUndefined();
    expect(messages()).toEqual([
      expect.stringMatching(/^warn fiber\/1 a NAT is between .* write it to wans\[\]\.public_ip/),
    ]);
  });

  it('is unknown of a peer that does not detect NATs', async () => {
    const { outside, sight, searched } = await setUp();
    sight(1, { hashes: [], translated: false });
    expect(outside.of('fiber/1')?.endpoint).toBeUndefined();
    expect(searched).toEqual([]);
  });

  it('is looked for again where a new configuration says', async () => {
    const { outside, config, searched, see } = await setUp({ change: (wan) => ({ ...wan, natSearch: 'known' }) });
    see(1, undefined);
    see(2, A);
    outside.use({ ...config, wans: config.wans.map((wan) => ({ ...wan, natSearch: 'all' })) });
    expect(searched).toHaveLength(3);
    expect(searched.map(({ steps }) => steps.at(-1))).toEqual([
      '192.168.1.2/32 every',
      '192.168.1.2/32 every',
      '0.0.0.0/0 500',
    ]);
  });

  it('is forgotten with the tunnel, and a search for it ends', async () => {
    const { outside, specs, searched, see, sight } = await setUp();
    see(1, A);
    sight(2);
    for (const spec of specs) outside.lost(spec);
    expect([outside.of('fiber/1'), outside.of('fiber/2')]).toEqual([undefined, undefined]);
    expect(searched.map(({ cancelled }) => cancelled)).toEqual([false, true]);
  });

  it('of an older IKE SA does not overtake that of a newer one', async () => {
    const { searched, sight } = await setUp();
    sight(1);
    sight(1);
    expect(searched.map(({ cancelled }) => cancelled)).toEqual([true, false]);
  });
});

describe('an address that changes', () => {
  it('counts at once when no living tunnel confirms the old one', async () => {
    const { outside, state, specs, see } = await setUp();
    see(1, A);
    see(2, A);
    for (const spec of specs) outside.lost(spec);
    see(1, B);
    expect(state.outside('fiber')?.outside).toEqual(B);
  });

  it('does not count while another tunnel still confirms the old one: that is an alarm', async () => {
    const { alarms, outside, state, specs, see } = await setUp();
    see(1, A);
    see(2, B);
    for (let s = 0; s < 600; s++) outside.tick(instant(s * 1_000));
    expect(state.outside('fiber')?.outside).toEqual(A);
    expect(alarms.list()).toMatchObject([
      { code: 'public-ip-fiber', message: expect.stringContaining('several addresses (203.0.113.7, 203.0.113.9)') },
    ]);
    const [first] = specs;
    if (first !== undefined) outside.lost(first);
    expect(alarms.list()).toEqual([]);
  });

  it('counts when the old one was not confirmed for half a minute', async () => {
    const { outside, state, specs, see } = await setUp();
    see(1, A);
    see(2, B);
    const [first] = specs;
    if (first !== undefined) outside.lost(first);
    outside.tick(instant(1_000));
    outside.tick(instant(30_999));
    expect(state.outside('fiber')?.outside).toEqual(A);
    outside.tick(instant(31_000));
    expect(state.outside('fiber')?.outside).toEqual(B);
  });

  it('is an alarm when another one is written down, until that is corrected', async () => {
    const { alarms, outside, config, see } = await setUp({ publicIp: '198.51.100.9' });
    see(1, A);
    expect(alarms.list()).toMatchObject([
      {
        code: 'public-ip-fiber',
        message:
          'wans[].public_ip of fiber is 198.51.100.9, but the gateways see 203.0.113.7: correct public_ip, or set it to auto',
      },
    ]);
    outside.use({ ...config, wans: config.wans.map((wan) => ({ ...wan, publicIp: A })) });
    expect(alarms.list()).toEqual([]);
  });

  it('is used also when it cannot be stored', async () => {
    const { documents, outside, wan, messages, see } = await setUp();
    documents.full = true;
    see(1, A);
    await new Promise((resolve) => setImmediate(resolve));
    expect(outside.publicAddress(wan)).toEqual({ ok: true, value: A });
    expect(messages().at(-1)).toMatch(/^error .*could not be stored: no space left/);
  });
});

const HASH = new Uint8Array(20).fill(7);

interface Options {
  readonly publicIp?: string;
  readonly own?: IpAddress | undefined;
  readonly known?: Readonly<Record<string, { inside: string; outside: string }>> | undefined;
  readonly change?: (wan: WanConfig) => WanConfig;
}

interface Search {
  readonly question: Parameters<OutsideAddressesDeps['searchNat']>[0];
  /** Such as `203.0.113.7/32 500`. */
  readonly steps: string[];
  readonly answer: (found: Endpoint | undefined) => void;
  cancelled: boolean;
}

async function setUp(options: Options = {}) {
  const own = 'own' in options ? options.own : PRIVATE;
  const config = configOf(options);
  const wans = Object.entries(options.known ?? {}).map(([name, addresses]) => ({ name, ...addresses }));
  const documents = new CountingDocuments({ 'outside.json': { version: 1, wans } });
  const state = await StateStore.open(documents);
  const log = new EventLog(() => new Date(0));
  const alarms = new Alarms(() => new Date(0));
  const searched: Search[] = [];
  const outside = new OutsideAddresses({
    log,
    alarms,
    state,
    wanAddress: () => own,
    searchNat: (question, steps, answer) => {
      const shown = steps.map(({ within, port }) => `${formatPrefix(within)} ${port}`);
      const search: Search = { question, steps: shown, answer, cancelled: false };
      searched.push(search);
      return () => {
        search.cancelled = true;
      };
    },
  });
  outside.use(config);
  const specs = branchSpecs(config);
  const sight = (zone: 1 | 2, changes: Partial<PeerSighting> = {}): void =>
    outside.sighted(specOf(specs, zone), { ...sighting(own), ...changes });
  /** The peer of this zone sees us there, and the oracle finds it. */
  const see = (zone: 1 | 2, address: IpAddress | undefined, port = 40_000): void => {
    sight(zone);
    searched.at(-1)?.answer(address && { address, port });
  };
  const messages = (): string[] =>
    log.after(0).map(({ level, tunnel, message }) => [level, tunnel ?? '', message].filter(Boolean).join(' '));
  const [wan] = config.wans;
  if (wan === undefined) throw new Error('the configuration has no WAN');
  return { alarms, config, documents, messages, outside, searched, see, sight, specs, state, wan };
}

function configOf({ publicIp = 'auto', change = (wan) => wan }: Options): Config {
  const config = branchConfig((yaml) => yaml.replace('public_ip: auto', `public_ip: ${publicIp}`));
  return { ...config, wans: config.wans.map(change) };
}

function specOf(specs: readonly TunnelSpec[], zone: 1 | 2): TunnelSpec {
  const spec = specs.find((candidate) => candidate.zone === zone);
  if (spec === undefined) throw new Error(`there is no tunnel of zone ${zone}`);
  return spec;
}

const sighting = (own = PRIVATE): PeerSighting => ({
  spiI: new Uint8Array(8).fill(1),
  spiR: new Uint8Array(8).fill(2),
  hashes: [HASH],
  local: { address: own, port: 500 },
  translated: true,
});

class CountingDocuments extends MemoryDocuments {
  writes = 0;
  override async write(name: string, value: unknown): Promise<void> {
    this.writes++;
    await super.write(name, value);
  }
}
