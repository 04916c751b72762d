import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { MICROSOFT_PREFIXES } from '../../src/lab/microsoft-prefixes.ts';
import { SeededRandom } from '../sim/clock.ts';
import { DAEMONS } from './bgp-daemons.ts';
import { MICROSOFT_ASN } from './bird.ts';
import { BRANCH_ASN, manualBranch, PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology, type Zone } from './topology.ts';
import { Tunwrightd } from './tunwrightd.ts';

const CONFIGS = 200;
const SEED = 20_261_130;

interface Network {
  readonly name: string;
  readonly prefixes: readonly string[];
  readonly advertise: boolean;
}

/** A configuration, and what it should let the zones know, as ExaBGP writes it. */
interface Case {
  readonly networks: readonly Network[];
  readonly exported: object | undefined;
  readonly expected: readonly string[];
}

/*
 * Each zone announces prefixes of its own. With the default-like configuration of other speakers each would be sent those of
 * the other one; ours sends the LAN networks that are to be advertised, and nothing else, whatever else is configured.
 */
describe('what the zones are told', () => {
  let topology: Topology;
  let daemon: Tunwrightd;
  const logs: string[] = [];

  beforeAll(async () => {
    topology = await Topology.create();
    for (const zone of topology.zones) {
      await StrongSwan.start(topology, `zone${zone.number}`, {
        namespace: zone.namespace,
        local: zone.endpoint,
        remoteId: ADDRESS.branchPublic,
        psk: PSK,
        routes: [ADDRESS.branchBgp],
      });
      logs.push(await startExabgp(topology, zone));
    }
    daemon = await Tunwrightd.start(topology, { config: await config({ networks: [STAFF], exported: undefined }) });
    await daemon.healthy(30_000);
  });
  afterAll(() => topology.remove());

  it(`is the LAN and nothing of the other zone, with ${CONFIGS} random configurations`, {
    timeout: 900_000,
  }, async () => {
    const dice = new SeededRandom(SEED);
    const sizes = new Set<number>();
    for (let i = 0; i < CONFIGS; i++) {
      const next = randomCase(dice);
      sizes.add(next.expected.length);
      await writeFile(join(topology.directory, 'config.yaml'), stringify(await config(next)));
      daemon.reload();
      for (const log of logs) {
        await eventually(`configuration ${i}: ${JSON.stringify(next)}`, 10_000, async () => {
          const told = replay(await readFile(log, 'utf8'));
          return JSON.stringify(told) === JSON.stringify(next.expected);
        }).catch(async (error) => {
          throw new Error(`${error.message}\ntold: ${JSON.stringify(replay(await readFile(log, 'utf8')))}`, {
            cause: error,
          });
        });
      }
    }
    expect(sizes.size).toBeGreaterThan(3);
    const everTold = (await Promise.all(logs.map((log) => readFile(log, 'utf8')))).join('\n');
    expect(MICROSOFT_PREFIXES.filter((prefix) => everTold.includes(` ${prefix} `))).toEqual([]);
    expect((await daemon.neighbors()).map(({ counters }) => counters.sessions_established)).toEqual([1, 1]);
  });

  async function config({ networks, exported }: Pick<Case, 'networks' | 'exported'>): Promise<object> {
    const bgp = exported === undefined ? {} : { export: exported };
    return manualBranch(topology, topology.zones, {
      bgp: { export: undefined, ...bgp },
      top: { networks: networks.map((network) => ({ ...network, interface: 'lan0' })) },
    });
  }
});

const STAFF: Network = { name: 'staff', prefixes: [ADDRESS.clientNetwork], advertise: true };

async function startExabgp(topology: Topology, zone: Zone): Promise<string> {
  const directory = join(topology.directory, `exabgp-${zone.number}`);
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
  const daemon = DAEMONS['ExaBGP']?.({
    namespace: zone.namespace,
    directory,
    address: zone.bgp,
    asn: MICROSOFT_ASN,
    neighbor: ADDRESS.branchBgp,
    neighborAsn: BRANCH_ASN,
    // half of them each
    prefixes: MICROSOFT_PREFIXES.filter((_, i) => i % 2 === zone.number - 1),
  });
  await daemon?.start();
  return join(directory, 'seen');
}

/** What a peer holds after all that ExaBGP wrote down, as `PREFIX [AS PATH] med`, sorted. */
function replay(seen: string): string[] {
  const held = new Map<string, string>();
  for (const line of seen.split('\n')) {
    const [, gone] = / withdrawn (\S+)/.exec(line) ?? [];
    if (gone !== undefined) held.delete(gone);
    const [, prefix] = / announced (\S+) next-hop /.exec(line) ?? [];
    if (prefix === undefined) continue;
    const [, path = ''] = / as-path \[ ([^\]]*) \]/.exec(line) ?? [];
    const [, med = '-'] = / med (\d+)/.exec(line) ?? [];
    held.set(prefix, `${prefix} [${path.trim()}] ${med}`);
  }
  return [...held.values()].sort();
}

function randomCase(random: SeededRandom): Case {
  const below = (limit: number): number => (random.bytes(1)[0] ?? 0) % limit;
  const networks = [
    STAFF,
    ...Array.from(
      { length: below(4) },
      (_, i): Network => ({
        name: `net${i}`,
        prefixes: Array.from({ length: 1 + below(3) }, (_, j) => `10.${50 + i}.${16 * j + below(16)}.0/24`),
        advertise: below(3) > 0,
      }),
    ),
  ];
  const advertised = networks.filter(({ advertise }) => advertise);
  const named = below(2) === 0 ? advertised.filter(() => below(2) === 0) : undefined;
  const rules = below(2) === 0 ? [] : [randomRule(below), ...(below(2) === 0 ? [randomRule(below)] : [])];
  const prefixes = (named ?? advertised).flatMap((network) => network.prefixes);
  return {
    networks,
    exported:
      named === undefined && rules.length === 0
        ? undefined
        : {
            ...(named !== undefined && { networks: named.map(({ name }) => name) }),
            ...(rules.length > 0 && { rules: rules.map((rule) => rule.text) }),
          },
    expected: [...new Set(prefixes)].flatMap((prefix) => told(prefix, rules)).sort(),
  };
}

/** A rule for the third octet: even ones, by a second octet from 50 on, or the staff's network. */
interface Rule {
  readonly text: object;
  readonly fits: (prefix: string) => boolean;
  readonly accept: boolean;
  readonly prepend: number;
  readonly med: number | undefined;
}

function randomRule(below: (limit: number) => number): Rule {
  const second = 50 + below(4);
  const [range, fits] = [
    [`10.${second}.0.0/16 le 24`, (prefix: string) => prefix.startsWith(`10.${second}.`)] as const,
    ['10.0.0.0/8 ge 24 le 24', () => true] as const,
    [ADDRESS.clientNetwork, (prefix: string) => prefix === ADDRESS.clientNetwork] as const,
  ][below(3)] ?? ['', () => false];
  const accept = below(3) > 0;
  const prepend = accept ? below(3) : 0;
  const med = accept && below(2) === 0 ? below(200) : undefined;
  const set = { ...(prepend > 0 && { prepend }), ...(med !== undefined && { med }) };
  const text = {
    prefixes: [range],
    action: accept ? 'accept' : 'reject',
    ...(Object.keys(set).length > 0 && { set }),
  };
  return { text, fits, accept, prepend, med };
}

function told(prefix: string, rules: readonly Rule[]): string[] {
  const path = (times: number): string => new Array(times).fill(BRANCH_ASN).join(' ');
  if (rules.length === 0) return [`${prefix} [${path(1)}] -`];
  const rule = rules.find(({ fits }) => fits(prefix));
  return rule?.accept === true ? [`${prefix} [${path(1 + rule.prepend)}] ${rule.med ?? '-'}`] : [];
}
