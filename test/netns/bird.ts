import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MICROSOFT_PREFIXES } from '../../src/lab/microsoft-prefixes.ts';
import { eventually, Hopeless } from './eventually.ts';
import { type RunningProcess, run } from './process.ts';
import { ADDRESS, type Topology, type Zone } from './topology.ts';

/** Microsoft's AS number. */
export const MICROSOFT_ASN = 65476;

export interface BirdOptions {
  readonly branchAsn: number;
  /** Announced to the branch. */
  readonly prefixes?: readonly string[];
  readonly keepaliveSec?: number;
  /** More settings of the session, such as `passive off;`; of two for the same the last counts. */
  readonly session?: string;
}

/** `birdc show protocols all` of the session to the branch. */
export interface BirdSession {
  /** `Established`, `Active`, … */
  readonly state: string;
  readonly imported: number;
  readonly exported: number;
}

/** The BGP speaker of one zone. It sends the branch's networks into the tunnel as soon as it has learned them. */
export class Bird {
  readonly #topology: Topology;
  readonly #zone: Zone;
  readonly #directory: string;
  #process: RunningProcess | undefined;

  private constructor(topology: Topology, zone: Zone) {
    this.#topology = topology;
    this.#zone = zone;
    this.#directory = join(topology.directory, `bird-zone${zone.number}`);
  }

  static async start(topology: Topology, zone: Zone, options: BirdOptions): Promise<Bird> {
    const started = new Bird(topology, zone);
    await mkdir(started.#directory, { recursive: true });
    await writeFile(join(started.#directory, 'bird.conf'), zoneConfig(zone, started.#directory, options));
    await started.start();
    return started;
  }

  async start(): Promise<void> {
    const file = (name: string) => join(this.#directory, name);
    const started = this.#topology.start(
      'bird',
      ['-f', '-c', file('bird.conf'), '-s', file('ctl'), '-P', file('pid')],
      {
        namespace: this.#zone.namespace,
      },
    );
    this.#process = started;
    await eventually(`BIRD of zone ${this.#zone.number} answers`, 5_000, async () => {
      if (!started.running) throw new Hopeless(`bird ended: ${started.lines.join('\n')}`);
      return (await this.birdc('show', 'status')).includes('Daemon is up');
    });
  }

  /** Sends a Cease and ends. */
  async stop(): Promise<void> {
    await this.#process?.stop('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#process?.stop('SIGKILL');
  }

  /** Takes the session down with a message for the operator, RFC 9003. */
  async disable(message: string): Promise<void> {
    await this.birdc('disable', 'branch', JSON.stringify(message));
  }

  async enable(): Promise<void> {
    await this.birdc('enable', 'branch');
  }

  async session(): Promise<BirdSession> {
    const shown = await this.birdc('show', 'protocols', 'all', 'branch');
    const routes = /Routes:\s+(\d+) imported, (?:\d+ filtered, )?(\d+) exported/.exec(shown);
    return {
      state: /BGP state:\s+(\S+)/.exec(shown)?.[1] ?? 'Down',
      imported: Number(routes?.[1] ?? 0),
      exported: Number(routes?.[2] ?? 0),
    };
  }

  /** Prefixes learned from the branch. */
  async learned(): Promise<string[]> {
    const shown = await this.birdc('show', 'route', 'protocol', 'branch');
    return [...shown.matchAll(/^(\d+\.\d+\.\d+\.\d+\/\d+)/gm)].map(([, prefix = '']) => prefix);
  }

  /** Waits until a learned prefix is in the zone's kernel, so that answers find back into the tunnel. */
  async returnRoute(prefix: string): Promise<void> {
    await eventually(`zone ${this.#zone.number} routes ${prefix} into the tunnel`, 5_000, async () =>
      (await run('ip', ['-n', this.#zone.namespace, 'route', 'show', prefix])).includes('dev ipsec0'),
    );
  }

  async log(): Promise<string> {
    return readFile(join(this.#directory, 'bird.log'), 'utf8');
  }

  /** Any birdc command on this instance. */
  async birdc(...words: string[]): Promise<string> {
    return run('birdc', ['-s', join(this.#directory, 'ctl'), ...words]);
  }
}

function zoneConfig(
  zone: Zone,
  directory: string,
  { branchAsn, prefixes = MICROSOFT_PREFIXES, keepaliveSec = 60, session = '' }: BirdOptions,
): string {
  return `
log "${directory}/bird.log" all;
router id ${zone.bgp};
protocol device { scan time 1; }
protocol static microsoft {
  ipv4;
${prefixes.map((prefix) => `  route ${prefix} blackhole;`).join('\n')}
}
protocol static tunnel {
  ipv4;
  route ${ADDRESS.branchBgp}/32 via "ipsec0";
}
protocol kernel {
  scan time 1;
  ipv4 { import none; export where source = RTS_BGP; };
}
protocol bgp branch {
  local ${zone.bgp} as ${MICROSOFT_ASN};
  neighbor ${ADDRESS.branchBgp} as ${branchAsn};
  multihop 4;
  passive on;
  hold time 180;
  keepalive time ${keepaliveSec};
  ${session}
  ipv4 { import all; export where proto = "microsoft"; next hop self; };
}
`;
}
