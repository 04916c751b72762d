import { randomBytes, randomUUID } from 'node:crypto';
import type { EntraSimOptions, Quirks, SimGateway, SimLinkEvent } from './options.ts';
import { badRequest, notFound } from './refusal.ts';
import { MAX_NETWORKS } from './schema.ts';

export type JsonObject = Record<string, unknown>;

/** A device link as a client sent it, after `rules.ts`. */
export interface DeviceLinkBody {
  readonly name: string;
  readonly ipAddress: string;
  readonly deviceVendor: string;
  readonly bandwidthCapacityInMbps: string;
  readonly bgpConfiguration: { readonly asn: number; readonly localIpAddress: string; readonly peerIpAddress: string };
  readonly redundancyConfiguration: {
    readonly redundancyTier: 'noRedundancy' | 'zoneRedundancy';
    readonly zoneLocalIpAddress: string | null;
  };
  readonly tunnelConfiguration: JsonObject;
}

export interface SimLink extends DeviceLinkBody {
  readonly id: string;
  readonly networkId: string;
  readonly lastModifiedDateTime: string;
  /** Zone 1 first. */
  readonly gateways: readonly SimGateway[];
  /** `connectivityConfiguration` does not show it for so many more reads, and the list of links for so many. */
  hiddenPolls: number;
  hiddenLists: number;
}

export interface SimNetwork {
  readonly id: string;
  name: string;
  readonly region: string;
  lastModifiedDateTime: string;
  profileIds: string[];
  /** The list of networks does not show it for so many more reads. */
  hiddenLists: number;
  readonly links: SimLink[];
}

export interface SimProfile {
  readonly id: string;
  readonly name: string;
  readonly trafficForwardingType: 'm365' | 'internet' | 'private';
  readonly priority: number;
}

const MAX_TOKENS = 100;

/** The simulated tenant: its objects and the tokens given out. Knows no HTTP. */
export class SimStore {
  readonly networks = new Map<string, SimNetwork>();
  /** The three of every tenant; their ids differ from tenant to tenant. */
  readonly profiles: readonly SimProfile[] = [
    { id: randomUUID(), name: 'Microsoft traffic forwarding profile', trafficForwardingType: 'm365', priority: 0 },
    { id: randomUUID(), name: 'Private access forwarding profile', trafficForwardingType: 'private', priority: 1 },
    { id: randomUUID(), name: 'Internet access forwarding profile', trafficForwardingType: 'internet', priority: 2 },
  ];
  readonly #tokens = new Map<string, number>();
  readonly #options: EntraSimOptions;
  readonly #quirks: Quirks;
  #links = 0;

  constructor(options: EntraSimOptions, quirks: Quirks) {
    this.#options = options;
    this.#quirks = quirks;
  }

  issueToken(lifetimeSec: number): string {
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size >= MAX_TOKENS && oldest !== undefined) this.#tokens.delete(oldest);
    const token = randomBytes(48).toString('base64url');
    this.#tokens.set(token, Date.now() + lifetimeSec * 1000);
    return token;
  }
  acceptsToken(token: string): boolean {
    return (this.#tokens.get(token) ?? 0) > Date.now();
  }
  revokeTokens(): void {
    this.#tokens.clear();
  }

  addNetwork(name: string, region: string, profileIds: readonly string[]): SimNetwork {
    if (this.networks.size >= MAX_NETWORKS) {
      throw badRequest(`The tenant already has ${MAX_NETWORKS} remote networks, which is the maximum.`);
    }
    const id = randomUUID();
    const network: SimNetwork = {
      id,
      name,
      region,
      lastModifiedDateTime: timestamp(),
      profileIds: [...profileIds],
      hiddenLists: this.#quirks.listLag,
      links: [],
    };
    this.networks.set(id, network);
    return network;
  }
  network(id: string): SimNetwork {
    const network = this.networks.get(id.toLowerCase());
    if (network === undefined) throw notFound(`remoteNetwork '${id.slice(0, 64)}'`);
    return network;
  }
  deleteNetwork(network: SimNetwork): void {
    for (const link of [...network.links]) this.deleteLink(network, link);
    this.networks.delete(network.id);
  }

  /** Microsoft's half comes from the options; a link created anew may get other endpoints. */
  addLink(network: SimNetwork, body: DeviceLinkBody): SimLink {
    const gateways = this.#options.assignEndpoints?.(body) ?? this.#defaultGateways(network, body);
    const link: SimLink = {
      ...body,
      id: randomUUID(),
      networkId: network.id,
      lastModifiedDateTime: timestamp(),
      gateways,
      hiddenPolls: this.#quirks.emptyPolls,
      hiddenLists: this.#quirks.listLag,
    };
    network.links.push(link);
    this.#tell({ kind: 'created', link });
    return link;
  }
  link(network: SimNetwork, id: string): SimLink {
    const link = network.links.find((candidate) => candidate.id === id.toLowerCase());
    if (link === undefined) throw notFound(`deviceLink '${id.slice(0, 64)}'`);
    return link;
  }
  deleteLink(network: SimNetwork, link: SimLink): void {
    network.links.splice(network.links.indexOf(link), 1);
    this.#tell({ kind: 'deleted', link });
  }

  /** TEST-NET-2 addresses nobody answers at: enough to register against. */
  #defaultGateways(network: SimNetwork, { redundancyConfiguration }: DeviceLinkBody): SimGateway[] {
    const zones = redundancyConfiguration.redundancyTier === 'zoneRedundancy' ? 2 : 1;
    return Array.from({ length: zones }, () => {
      return { endpoint: `198.51.100.${(this.#links++ % 254) + 1}`, asn: 65476, region: network.region };
    });
  }

  #tell(event: SimLinkEvent): void {
    this.#options.onLink?.(event);
  }
}

const timestamp = (): string => new Date().toISOString();
