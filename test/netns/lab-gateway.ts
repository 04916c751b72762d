import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MICROSOFT_ASN } from './bird.ts';
import { BRANCH_ASN, PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { ROOT } from './repository.ts';
import { ADDRESS, type Zone } from './topology.ts';

const PROBE = { address: '198.18.1.101', port: 6544 };

/** The lab's zone gateway, our own responder with a real data plane, in a zone of the topology. */
export class LabGateway {
  /** What it reported, as `event detail`. */
  readonly events: string[] = [];
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;

  private constructor({ namespace, endpoint }: Zone) {
    const options = { endpoint, device: 'tw0', mtu: 1380, asn: MICROSOFT_ASN, announced: [], probe: PROBE };
    const main = join(ROOT, 'dist', 'lab', 'gateway', 'main.js');
    const argv = ['netns', 'exec', namespace, process.execPath, main, JSON.stringify(options)];
    this.#child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('the gateway has no output');
    createInterface({ input: stdout }).on('line', (line) => {
      const { event, detail = '' } = JSON.parse(line) as { event: string; detail?: string };
      this.events.push(`${event} ${detail}`.trim());
    });
    this.#exit = new Promise((resolve) => this.#child.once('close', resolve));
  }

  /** Serves the branch of `manualBranch` with IKE MIX 8 and IPsec MIX 6. */
  static async start(zone: Zone): Promise<LabGateway> {
    const gateway = new LabGateway(zone);
    await eventually('the gateway is ready', 15_000, () => gateway.events.includes('ready'));
    const order = {
      command: 'serve',
      psk: PSK,
      localBgp: zone.bgp,
      branchBgp: ADDRESS.branchBgp,
      branchAsn: BRANCH_ASN,
      ike: [{ encryption: 'aes256', integrity: 'sha384', dhGroup: 20 }],
      esp: [{ encryption: 'gcmAes256', pfsGroup: 20 }],
    };
    gateway.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    await eventually('the gateway serves', 5_000, () => gateway.events.some((event) => event.startsWith('serving')));
    return gateway;
  }

  /** Says DELETE, and ends. */
  async stop(): Promise<number | null> {
    this.#child.stdin?.end();
    return this.#exit;
  }
}
