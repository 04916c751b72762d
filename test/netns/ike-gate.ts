import { run } from './process.ts';
import type { Topology, Zone } from './topology.ts';

/**
 * Holds back, in the router, what the daemon says to one zone in IKE; ESP and the other direction pass. So both ends can
 * have a request under way at once. Open until `close()`.
 */
export class IkeGate {
  readonly #namespace: string;
  readonly #endpoint: string;

  private constructor(namespace: string, endpoint: string) {
    this.#namespace = namespace;
    this.#endpoint = endpoint;
  }

  static async create(topology: Topology, { endpoint }: Zone): Promise<IkeGate> {
    const gate = new IkeGate(topology.namespace('router'), endpoint);
    await gate.#nft('add table ip gate; add chain ip gate forward { type filter hook forward priority 0; }');
    return gate;
  }

  async close(): Promise<void> {
    // RFC 3948 §2.2: four zero octets after the UDP header tell IKE from ESP.
    const ike = 'udp dport 4500 @th,64,32 0 counter';
    const [ours, theirs] = [`ip daddr ${this.#endpoint} ${ike} drop`, `ip saddr ${this.#endpoint} ${ike}`];
    await this.#nft(`add rule ip gate forward ${ours}; add rule ip gate forward ${theirs}`);
  }

  async open(): Promise<void> {
    await this.#nft('flush chain ip gate forward');
  }

  /** IKE messages since `close()`: held back from the daemon, let through from strongSwan. */
  async counted(): Promise<{ readonly held: number; readonly passed: number }> {
    const rules = await this.#nft('list chain ip gate forward');
    const [held = 0, passed = 0] = [...rules.matchAll(/counter packets (\d+)/g)].map(([, packets]) => Number(packets));
    return { held, passed };
  }

  #nft(commands: string): Promise<string> {
    return run('nft', [commands], { namespace: this.#namespace });
  }
}
