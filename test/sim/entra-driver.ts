import type { Random } from '../../src/crypto/types.ts';
import { EntraRegistration } from '../../src/entra/index.ts';
import type {
  EntraConnector,
  EntraInput,
  EntraOutput,
  WantedDeviceLink,
  WantedRemoteNetwork,
} from '../../src/entra/types.ts';
import type { HttpRequest, HttpResponse } from '../../src/lib/http.ts';
import { ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type Instant, instant } from '../../src/lib/time.ts';

export const TENANT = '00000000-0000-0000-0000-00000000000a';
export const CLIENT = '11111111-1111-1111-1111-11111111111b';
export const CLIENT_SECRET = 'client~secret/with+signs&=%';
export const PSKS = ['zoneOneKeyzoneOneKeyzoneOneKey01', 'zoneTwoKeyzoneTwoKeyzoneTwoKey02'] as const;

export function connectorTo(url: string, change: Partial<EntraConnector> = {}): EntraConnector {
  return {
    name: 'contoso',
    tenantId: TENANT,
    clientId: CLIENT,
    clientSecret: Secret.fromText(CLIENT_SECRET),
    loginEndpoint: url,
    graphEndpoint: url,
    ...change,
  };
}

export function wantedLink(change: Partial<WantedDeviceLink> = {}): WantedDeviceLink {
  return {
    name: 'fiber',
    cpePublicIp: ip('203.0.113.10'),
    bandwidthMbps: 500,
    deviceVendor: 'other',
    redundancy: 'zone',
    cpeAsn: 65010,
    cpeBgpAddress: ip('169.254.21.1'),
    msftBgpAddress: ip('169.254.21.2'),
    msftZoneBgpAddress: ip('169.254.22.2'),
    ike: { ikeEncryption: 'aes256', ikeIntegrity: 'sha384', dhGroup: 'ecp384' },
    ipsec: { ipSecEncryption: 'gcmAes256', ipSecIntegrity: 'gcmAes256', pfsGroup: 'ecp384' },
    saLifetimeSec: 3600,
    psks: PSKS.map((psk) => Secret.fromText(psk)),
    ...change,
  };
}

export function wantedNetwork(change: Partial<WantedRemoteNetwork> = {}): WantedRemoteNetwork {
  return {
    name: 'lyon-01',
    region: 'franceCentral',
    profiles: ['m365'],
    manage: 'create',
    links: [wantedLink()],
    ...change,
  };
}

/** xorshift32: the same run every time. */
export function seededRandom(seed = 0x2545f491): Random {
  let state = seed;
  const octet = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  };
  return { bytes: (length) => Uint8Array.from({ length }, octet) };
}

export type Exchange = (request: HttpRequest, now: Instant) => HttpResponse | Promise<HttpResponse>;
export type Outcome = Extract<EntraOutput, { kind: 'registered' | 'failed' }>;

/** Runs a core on a virtual clock that jumps to the next wake-up; every output is kept. */
export class EntraDriver {
  readonly core: EntraRegistration;
  readonly outputs: Exclude<EntraOutput, { kind: 'request' }>[] = [];
  readonly requests: HttpRequest[] = [];
  readonly #exchange: Exchange;
  now = instant(0);

  constructor(connector: EntraConnector, wanted: WantedRemoteNetwork, exchange: Exchange) {
    this.core = new EntraRegistration(connector, wanted, { random: seededRandom() });
    this.#exchange = exchange;
  }

  /** From `start`, or from the wake-up after a failure, to the next `registered` or `failed`. */
  async run(input: EntraInput = { kind: 'start' }): Promise<Outcome> {
    this.core.handle(input, this.now);
    for (;;) {
      const output = this.core.poll();
      if (output === undefined) this.wake();
      else if (output.kind === 'request') {
        this.requests.push(output.request);
        const response = await this.#exchange(output.request, this.now);
        this.core.handle({ kind: 'response', id: output.id, response }, this.now);
      } else {
        this.outputs.push(output);
        if (output.kind !== 'progress') return output;
      }
    }
  }

  /** Lets the time pass until the core wants to be woken. */
  wake(): void {
    const at = this.core.nextTimeout();
    if (at === undefined) throw new Error('the core waits for nothing and has nothing to say');
    this.now = at;
    this.core.handle({ kind: 'timeout' }, this.now);
  }

  get progress(): string[] {
    return this.outputs.flatMap((output) => (output.kind === 'progress' ? [output.detail] : []));
  }
}
