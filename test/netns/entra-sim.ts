import { join } from 'node:path';
import { MICROSOFT_ASN } from './bird.ts';
import { eventually, Hopeless } from './eventually.ts';
import type { RunningProcess } from './process.ts';
import { ROOT } from './repository.ts';
import { ADDRESS, type Topology } from './topology.ts';

const PORT = 8080;

export const TENANT = {
  tenantId: '00000000-0000-4000-8000-000000000001',
  clientId: '11111111-1111-4111-8111-111111111111',
  clientSecret: 'a-client-secret~with.what_they-contain',
} as const;

/** The keys that a device link was created with, zone 1 first. */
export interface LinkKeys {
  readonly zone1: string;
  readonly zone2: string;
}

/** The simulated login endpoint and Graph, in their own namespace; the topology's zones are what they assign. */
export class EntraSim {
  static readonly url = `http://${ADDRESS.entra}:${PORT}`;
  readonly #process: RunningProcess;

  private constructor(process: RunningProcess) {
    this.#process = process;
  }

  /** `roles`: application permissions in its tokens. */
  static async start(topology: Topology, { roles }: { roles?: readonly string[] } = {}): Promise<EntraSim> {
    const gateways = topology.zones.map(({ endpoint }) => ({ endpoint, asn: MICROSOFT_ASN }));
    const options = {
      ...TENANT,
      address: ADDRESS.entra,
      port: PORT,
      endpoints: { '*': gateways },
      ...(roles !== undefined && { quirks: { roles } }),
    };
    const process_ = topology.start(
      process.execPath,
      [join(ROOT, 'dist/lab/entra-sim/main.js'), JSON.stringify(options)],
      {
        namespace: topology.namespace('entra'),
      },
    );
    const started = new EntraSim(process_);
    await eventually('the simulated Entra listens', 10_000, () => {
      if (!process_.running) throw new Hopeless(`it ended: ${process_.lines.join('\n')}`);
      return started.#events('ready').length === 1;
    });
    return started;
  }

  /** Waits for the first device link. */
  async linkKeys(): Promise<LinkKeys> {
    return eventually('a device link is created', 15_000, () => {
      const tunnel = this.#events('link-created')[0]?.link?.tunnelConfiguration;
      return tunnel && { zone1: tunnel.preSharedKey, zone2: tunnel.zoneRedundancyPreSharedKey };
    });
  }

  #events(kind: string): SimEvent[] {
    return this.#process.lines
      .map((line): SimEvent => (line.startsWith('{') ? JSON.parse(line) : { event: 'text' }))
      .filter(({ event }) => event === kind);
  }
}

interface SimEvent {
  readonly event: string;
  readonly link?: {
    readonly tunnelConfiguration: { readonly preSharedKey: string; readonly zoneRedundancyPreSharedKey: string };
  };
}
