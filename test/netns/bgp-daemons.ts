import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { RunningProcess, run } from './process.ts';

/** Where a daemon runs and what it announces. */
export interface DaemonPlace {
  readonly namespace: string;
  /** For its configuration, sockets and logs; every user may enter it. */
  readonly directory: string;
  readonly address: string;
  readonly asn: number;
  readonly neighbor: string;
  readonly neighborAsn: number;
  readonly prefixes: readonly string[];
  /** The one of them that has `MARKS`. */
  readonly marked?: string;
  /** Opens the connection; without, waits for it (FRR does both). */
  readonly dials?: boolean;
  /** TCP-MD5. */
  readonly password?: string;
  /** ExaBGP only: more attributes of some prefixes, such as `attribute [ 0x04 0x80 0x0064 ]`. */
  readonly attributes?: ReadonlyMap<string, string>;
}

/** What a daemon says of its marked prefix beside the usual. */
export const MARKS = {
  /** Behind its own AS. */
  asns: [64_999, 4_200_000_009],
  med: 77,
  communities: [
    [65_476, 100],
    [100, 300],
  ],
  large: [4_200_000_001, 7, 9],
} as const;

/** A BGP daemon of somebody else with one session. */
export interface BgpDaemon {
  start(): Promise<void>;
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Prefixes it has learned from us, sorted. */
  learned(): Promise<string[]>;
  /** What it holds of one of our prefixes. */
  attributes(prefix: string): Promise<SeenAttributes>;
  /** Whether it knows that the last session ended with our Cease/Administrative Shutdown. */
  sawShutdown(): Promise<boolean>;
}

/** The words of four daemons, made alike. */
export interface SeenAttributes {
  readonly asPath: readonly number[];
  readonly nextHop: string;
  readonly med: number | undefined;
  /** `65010:1`, sorted. */
  readonly communities: readonly string[];
  /** `65010:1:2`, sorted. */
  readonly largeCommunities: readonly string[];
}

export const DAEMONS: Readonly<Record<string, (place: DaemonPlace) => BgpDaemon>> = {
  BIRD: (place) => new BirdDaemon(place),
  'FRR bgpd': (place) => new FrrDaemon(place),
  GoBGP: (place) => new GobgpDaemon(place),
  ExaBGP: (place) => new ExabgpDaemon(place),
};

/** A program that stays in the foreground, and its files. */
class Program {
  readonly place: DaemonPlace;
  #process: RunningProcess | undefined;

  constructor(place: DaemonPlace) {
    this.place = place;
  }

  file(name: string): string {
    return join(this.place.directory, name);
  }
  spawn(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
    this.#process = new RunningProcess(command, args, { namespace: this.place.namespace, env });
  }
  run(command: string, ...args: string[]): Promise<string> {
    return run(command, args, { namespace: this.place.namespace });
  }
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#process?.stop(signal);
  }
  get output(): string {
    return this.#process?.lines.join('\n') ?? '';
  }
}

class BirdDaemon implements BgpDaemon {
  readonly #program: Program;

  constructor(place: DaemonPlace) {
    this.#program = new Program(place);
  }

  async start(): Promise<void> {
    const { address, asn, neighbor, neighborAsn, prefixes, dials, password, marked } = this.#program.place;
    const signed = password === undefined ? '' : `password "${password}";`;
    await writeFile(
      this.#program.file('bird.conf'),
      `router id ${address};
protocol device { }
protocol static own {
  ipv4;
${prefixes.map((prefix) => `  route ${prefix} blackhole;`).join('\n')}
}
filter ours {
  if proto != "own" then reject;
  if net = ${marked ?? '0.0.0.0/32'} then {
${MARKS.asns
  .toReversed()
  .map((each) => `    bgp_path.prepend(${each});`)
  .join('\n')}
    bgp_med = ${MARKS.med};
${MARKS.communities.map((halves) => `    bgp_community.add((${halves}));`).join('\n')}
    bgp_large_community.add((${MARKS.large}));
  }
  accept;
}
protocol bgp branch {
  local ${address} as ${asn};
  neighbor ${neighbor} as ${neighborAsn};
  multihop 2;
  passive ${dials ? 'off' : 'on'}; connect delay time 1; connect retry time 1; ${signed}
  ipv4 { import all; export filter ours; next hop self; };
}
`,
    );
    const file = (name: string) => this.#program.file(name);
    this.#program.spawn('bird', ['-f', '-c', file('bird.conf'), '-s', file('bird.ctl'), '-P', file('bird.pid')]);
    await eventually('BIRD answers', 5_000, async () => (await this.#birdc('show', 'status')).includes('Daemon is up'));
  }

  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.#program.stop(signal);
  }
  async learned(): Promise<string[]> {
    return matches(await this.#birdc('show', 'route', 'protocol', 'branch'), /^(\d+\.\d+\.\d+\.\d+\/\d+)/gm);
  }
  async attributes(prefix: string): Promise<SeenAttributes> {
    const shown = await this.#birdc('show', 'route', 'all', prefix);
    const value = (name: string): string => new RegExp(`BGP\\.${name}: (.*)`).exec(shown)?.[1]?.trim() ?? '';
    const tuples = (text: string): string[] =>
      [...text.matchAll(/\(([^)]*)\)/g)].map(([, inside = '']) => inside.replace(/, ?/g, ':')).sort();
    return {
      asPath: numbers(value('as_path')),
      nextHop: value('next_hop'),
      med: optional(value('med')),
      communities: tuples(value('community')),
      largeCommunities: tuples(value('large_community')),
    };
  }
  async sawShutdown(): Promise<boolean> {
    return (await this.#birdc('show', 'protocols', 'all', 'branch')).includes('Received: Administrative shutdown');
  }

  #birdc(...words: string[]): Promise<string> {
    return this.#program.run('birdc', '-s', this.#program.file('bird.ctl'), ...words);
  }
}

/** bgpd alone, without zebra. It gives up root, so its folder is its own. */
class FrrDaemon implements BgpDaemon {
  readonly #program: Program;

  constructor(place: DaemonPlace) {
    this.#program = new Program(place);
  }

  async start(): Promise<void> {
    const { address, asn, neighbor, neighborAsn, prefixes, password, marked } = this.#program.place;
    const file = (name: string) => this.#program.file(name);
    const signed = password === undefined ? '' : ` neighbor ${neighbor} password ${password}\n`;
    await writeFile(
      file('frr.conf'),
      `router bgp ${asn}
 bgp router-id ${address}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 neighbor ${neighbor} remote-as ${neighborAsn}
 neighbor ${neighbor} ebgp-multihop 2
 neighbor ${neighbor} update-source ${address}
 neighbor ${neighbor} timers connect 5
${signed} address-family ipv4 unicast
  neighbor ${neighbor} activate
  neighbor ${neighbor} next-hop-self
${prefixes.map((prefix) => `  network ${prefix}${prefix === marked ? ' route-map MARKS' : ''}`).join('\n')}
 exit-address-family
route-map MARKS permit 10
 set as-path prepend ${MARKS.asns.join(' ')}
 set metric ${MARKS.med}
 set community ${MARKS.communities.map((halves) => halves.join(':')).join(' ')}
 set large-community ${MARKS.large.join(':')}
`,
    );
    await rm(file('run'), { recursive: true, force: true });
    await mkdir(file('run'));
    await run('chown', ['frr:frr', file('run')]);
    const args = ['-Z', '-f', file('frr.conf'), '-i', file('run/bgpd.pid'), '--vty_socket', file('run')];
    this.#program.spawn('/usr/lib/frr/bgpd', [...args, '-u', 'frr', '-g', 'frr', '-l', address]);
    await eventually('bgpd answers', 10_000, async () => (await this.#vtysh('show version')).includes('FRRouting'));
  }

  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.#program.stop(signal);
  }
  async learned(): Promise<string[]> {
    const shown = await this.#vtysh(`show bgp ipv4 unicast neighbors ${this.#program.place.neighbor} routes json`);
    return Object.keys(JSON.parse(shown).routes).sort();
  }
  async attributes(prefix: string): Promise<SeenAttributes> {
    const shown = JSON.parse(await this.#vtysh(`show bgp ipv4 unicast ${prefix} json`));
    const [path] = shown.paths;
    return {
      asPath: numbers(path.aspath.string),
      nextHop: path.nexthops[0].ip,
      med: path.metric,
      communities: (path.community?.list ?? []).sort(),
      largeCommunities: (path.largeCommunity?.list ?? []).sort(),
    };
  }
  async sawShutdown(): Promise<boolean> {
    const shown = await this.#vtysh(`show bgp neighbors ${this.#program.place.neighbor}`);
    return shown.includes('Notification received (Cease/Administrative Shutdown)');
  }

  #vtysh(command: string): Promise<string> {
    return this.#program.run('vtysh', '--vty_socket', this.#program.file('run'), '-c', command);
  }
}

class GobgpDaemon implements BgpDaemon {
  readonly #program: Program;

  constructor(place: DaemonPlace) {
    this.#program = new Program(place);
  }

  async start(): Promise<void> {
    const { address, asn, neighbor, neighborAsn, prefixes, dials, password, marked } = this.#program.place;
    await writeFile(
      this.#program.file('gobgp.toml'),
      `[global.config]
as = ${asn}
router-id = "${address}"
local-address-list = ["${address}"]
[[neighbors]]
[neighbors.config]
neighbor-address = "${neighbor}"
peer-as = ${neighborAsn}
auth-password = "${password ?? ''}"
[neighbors.timers.config]
connect-retry = 1
hold-time = 180
keepalive-interval = 60
[neighbors.transport.config]
passive-mode = ${dials !== true}
local-address = "${address}"
[neighbors.ebgp-multihop.config]
enabled = true
multihop-ttl = 2
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv4-unicast"
`,
    );
    this.#program.spawn('gobgpd', [
      '-f',
      this.#program.file('gobgp.toml'),
      '--api-hosts',
      '127.0.0.1:50051',
      '--pprof-disable',
    ]);
    await eventually('gobgpd answers', 5_000, async () => (await this.#gobgp('global')).includes(String(asn)));
    for (const prefix of prefixes) {
      const marks = prefix === marked ? gobgpMarks() : [];
      await this.#gobgp('global', 'rib', 'add', prefix, 'nexthop', address, 'origin', 'igp', ...marks);
    }
  }

  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.#program.stop(signal);
  }
  async learned(): Promise<string[]> {
    return matches(await this.#gobgp('neighbor', this.#program.place.neighbor, 'adj-in'), /(\d+\.\d+\.\d+\.\d+\/\d+)/g);
  }
  async attributes(prefix: string): Promise<SeenAttributes> {
    const shown = JSON.parse(await this.#gobgp('neighbor', this.#program.place.neighbor, 'adj-in', '-j'));
    const [route] =
      shown[prefix] ??
      Object.values(shown)
        .flat()
        .filter((each) => (each as GobgpRoute).nlri.prefix === prefix);
    return gobgpAttributes(route);
  }
  async sawShutdown(): Promise<boolean> {
    return this.#program.output.includes('notification-received code 6(cease) subcode 2(administrative shutdown)');
  }

  #gobgp(...words: string[]): Promise<string> {
    return this.#program.run('gobgp', '-p', '50051', ...words);
  }
}

/** Has no table to look at: a second process of its own notes what arrives. */
class ExabgpDaemon implements BgpDaemon {
  readonly #program: Program;

  constructor(place: DaemonPlace) {
    this.#program = new Program(place);
  }

  async start(): Promise<void> {
    const { address, asn, neighbor, neighborAsn, prefixes, dials, password, marked, attributes } = this.#program.place;
    const signed = password === undefined ? '' : `md5-password "${password}";`;
    const extra = (prefix: string) => (prefix === marked ? exabgpMarks(asn) : (attributes?.get(prefix) ?? ''));
    const file = (name: string) => this.#program.file(name);
    await writeFile(file('seen'), '');
    await writeFile(
      file('exabgp.conf'),
      `process seen { run /bin/sh -c "cat >> ${file('seen')}"; encoder text; }
neighbor ${neighbor} {
  router-id ${address}; local-address ${address}; local-as ${asn}; peer-as ${neighborAsn};
  passive ${dials === true ? 'false' : 'true'}; incoming-ttl 0; outgoing-ttl 2; ${signed}
  family { ipv4 unicast; }
  api { processes [ seen ]; receive { parsed; update; } neighbor-changes; }
  announce { ipv4 {
${prefixes.map((prefix) => `    unicast ${prefix} next-hop ${address} ${extra(prefix)};`).join('\n')}
  } }
}
`,
    );
    this.#program.spawn('exabgp', [file('exabgp.conf')], {
      'exabgp.tcp.bind': address,
      'exabgp.tcp.port': '179',
      'exabgp.daemon.user': 'root',
      'exabgp.api.cli': 'false',
      'exabgp.log.destination': 'stdout',
    });
    await eventually('ExaBGP listens', 10_000, async () =>
      (await this.#program.run('ss', '-Hltn')).includes(`${address}:179`),
    );
  }

  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    return this.#program.stop(signal);
  }
  async learned(): Promise<string[]> {
    return matches(await readFile(this.#program.file('seen'), 'utf8'), /announced (\S+) next-hop/g);
  }
  async attributes(prefix: string): Promise<SeenAttributes> {
    const lines = (await readFile(this.#program.file('seen'), 'utf8')).split('\n');
    const line = lines.findLast((each) => each.includes(` announced ${prefix} `)) ?? '';
    const inside = (name: string): string => new RegExp(` ${name} \\[ ([^\\]]*) \\]`).exec(line)?.[1]?.trim() ?? '';
    const word = (name: string): string => new RegExp(` ${name} (\\S+)`).exec(line)?.[1] ?? '';
    const words = (name: string): string[] =>
      (inside(name) || word(name).replace('[', '')).split(' ').filter(Boolean).sort();
    return {
      asPath: numbers(inside('as-path')),
      nextHop: word('next-hop'),
      med: optional(word('med')),
      communities: words('community'),
      largeCommunities: words('large-community'),
    };
  }
  /** ExaBGP 4.2.21 stumbles over the text of a shutdown (it mixes octets and characters), but not before it knows the type. */
  async sawShutdown(): Promise<boolean> {
    const seen = await readFile(this.#program.file('seen'), 'utf8');
    return /down - .*(notification received \(6,2\)|message of type "3")/.test(seen);
  }
}

const gobgpMarks = (): string[] => [
  ...['med', `${MARKS.med}`, 'aspath', MARKS.asns.join(',')],
  ...['community', MARKS.communities.map((halves) => halves.join(':')).join(',')],
  ...['large-community', MARKS.large.join(':')],
];

const exabgpMarks = (asn: number): string =>
  `as-path [ ${[asn, ...MARKS.asns].join(' ')} ] med ${MARKS.med} ` +
  `community [ ${MARKS.communities.map((halves) => halves.join(':')).join(' ')} ] large-community [ ${MARKS.large.join(':')} ]`;

interface GobgpRoute {
  readonly nlri: { readonly prefix: string };
  readonly attrs: readonly Record<string, unknown>[];
}

/** The attributes by their type codes (RFC 4271 §5, RFC 1997, RFC 8092). */
function gobgpAttributes({ attrs }: GobgpRoute): SeenAttributes {
  // biome-ignore lint/suspicious/noExplicitAny: another program's JSON
  const of = (type: number): any => attrs.find((each) => each['type'] === type);
  const halves = (value: number): string => `${value >>> 16}:${value & 0xffff}`;
  return {
    asPath: (of(2)?.as_paths ?? []).flatMap((segment: { asns: number[] }) => segment.asns),
    nextHop: of(3)?.nexthop ?? '',
    med: of(4)?.metric,
    communities: (of(8)?.communities ?? []).map(halves).sort(),
    largeCommunities: (of(32)?.value ?? [])
      .map((each: Record<string, number>) => `${each['ASN']}:${each['LocalData1']}:${each['LocalData2']}`)
      .sort(),
  };
}

const numbers = (text: string): number[] => text.split(/\s+/).filter(Boolean).map(Number);
const optional = (text: string): number | undefined => (text === '' ? undefined : Number(text));

const matches = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, found = '']) => found).sort();
