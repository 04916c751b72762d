import type { HttpRequest, HttpResponse } from '../lib/http.ts';
import type { IpAddress } from '../lib/ip.ts';
import type { Secret } from '../lib/secret.ts';
import type { IkeSuiteNames, IpsecSuiteNames } from './suites.ts';

/** One `entra-gsa` connector: where to get a token and which Graph to call. */
export interface EntraConnector {
  readonly name: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: Secret;
  /** Origins without a trailing slash. */
  readonly loginEndpoint: string;
  readonly graphEndpoint: string;
}

/** What this box wants Microsoft to hold. In this folder `cpe…` is ours and `msft…` is Microsoft's. */
export interface WantedRemoteNetwork {
  readonly name: string;
  readonly region: string;
  readonly profiles: readonly ('m365' | 'internet')[];
  readonly manage: 'create' | 'adopt' | 'read-only';
  readonly links: readonly WantedDeviceLink[];
}

export interface WantedDeviceLink {
  readonly name: string;
  readonly cpePublicIp: IpAddress;
  readonly bandwidthMbps: 250 | 500 | 750 | 1000;
  readonly deviceVendor: string;
  readonly redundancy: 'none' | 'zone';
  readonly cpeAsn: number;
  readonly cpeBgpAddress: IpAddress;
  readonly msftBgpAddress: IpAddress;
  readonly msftZoneBgpAddress: IpAddress | undefined;
  readonly ike: IkeSuiteNames;
  readonly ipsec: IpsecSuiteNames;
  readonly saLifetimeSec: number;
  /** Index 0 = zone 1. Two for `zone`. They decide: a link in the tenant with other keys is replaced. */
  readonly psks: readonly Secret[];
  /**
   * True when `psks` were generated just now, because this box has none stored: then an existing link keeps its keys,
   * which `registered` hands over to be stored.
   */
  readonly psksAreFresh?: boolean;
}

/** Microsoft's half of one link, zones in our order (zone 1 first), matched by BGP address. */
export interface RegisteredLink {
  readonly name: string;
  readonly linkId: string;
  readonly zones: readonly {
    readonly zone: 1 | 2;
    readonly endpoint: IpAddress;
    readonly msftAsn: number;
    readonly msftBgpAddress: IpAddress;
    readonly region: string;
  }[];
}

export type EntraInput =
  | { readonly kind: 'start' }
  | { readonly kind: 'response'; readonly id: number; readonly response: HttpResponse }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'stop' };

export type EntraOutput =
  | { readonly kind: 'request'; readonly id: number; readonly request: HttpRequest }
  | { readonly kind: 'progress'; readonly step: string; readonly detail: string }
  | {
      readonly kind: 'registered';
      readonly remoteNetworkId: string;
      readonly links: readonly RegisteredLink[];
      /** The keys in force of every link, zone 1 first: the wanted ones, or with `psksAreFresh` those found in the tenant. */
      readonly psks: readonly { readonly link: string; readonly keys: readonly Secret[] }[];
    }
  /** One sentence and a remedy. `retryInMs` undefined: an administrator must act; it is still tried again, slowly. */
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly retryInMs: number | undefined;
    };

/** Where the registration stands, for status pages. */
export interface EntraView {
  readonly state: 'idle' | 'pending' | 'registered' | 'failed';
  /** The step in progress, or the failure as one sentence with its remedy. */
  readonly detail: string;
  readonly code: string | undefined;
  /** Until the next attempt; only when `failed`. */
  readonly retryInMs: number | undefined;
  /** Kept from the last success while a later run is pending or has failed. */
  readonly remoteNetworkId: string | undefined;
  readonly links: readonly RegisteredLink[];
}
