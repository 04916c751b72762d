import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MICROSOFT_PREFIXES } from '../../src/lab/microsoft-prefixes.ts';
import { MICROSOFT_ASN } from './bird.ts';
import { BRANCH_ASN, PSK } from './branch-config.ts';
import { eventually, Hopeless } from './eventually.ts';
import { ROOT } from './repository.ts';
import { ADDRESS, type Zone } from './topology.ts';

const PROGRAM = join(ROOT, 'dist/lab/gateway/main.js');

/** The lab's own gateway in a zone's namespace. Unlike strongSwan 5.9.8 it speaks ESP without UDP, and ML-KEM. */
export class ZoneGateway {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #exit: Promise<number | null>;

  private constructor(zone: Zone) {
    const options = {
      endpoint: zone.endpoint,
      device: 'gsa0',
      mtu: 1380,
      asn: MICROSOFT_ASN,
      announced: MICROSOFT_PREFIXES,
      probe: { address: '198.18.1.101', port: 6544 },
    };
    const argv = ['netns', 'exec', zone.namespace, process.execPath, PROGRAM, JSON.stringify(options)];
    this.#child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error('the gateway has no pipes');
    for (const input of [stdout, stderr]) createInterface({ input }).on('line', (line) => this.#lines.push(line));
    this.#exit = new Promise((resolve) => this.#child.once('close', resolve));
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the gateway did not start');
    return this.#child.pid;
  }

  /**
   * Serves the branch of `manualBranch` with mix8 and mix6. `localBgp`: where its own BGP speaker listens, if somebody else is to
   * speak for the zone.
   */
  static async start(zone: Zone, { localBgp = zone.bgp }: { localBgp?: string } = {}): Promise<ZoneGateway> {
    const gateway = new ZoneGateway(zone);
    await eventually('the gateway is ready', 10_000, () => {
      if (gateway.#child.exitCode !== null) throw new Hopeless(gateway.#lines.join('\n'));
      return gateway.#lines.some((line) => line.includes('"ready"'));
    });
    const order = {
      command: 'serve',
      psk: PSK,
      localBgp,
      branchBgp: ADDRESS.branchBgp,
      branchAsn: BRANCH_ASN,
      ike: [{ encryption: 'aes256', integrity: 'sha384', dhGroup: 20 }],
      esp: [{ encryption: 'gcmAes256', pfsGroup: 20 }],
    };
    gateway.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    return gateway;
  }

  /** Says DELETE, and ends; gives the exit code. */
  async stop(): Promise<number | null> {
    this.#child.stdin?.end();
    return this.#exit;
  }
}
