import type { Fault } from './faults.ts';
import type { DeviceLinkBody, SimLink } from './store.ts';

/** One gateway of Microsoft as `connectivityConfiguration` will show it; its BGP address is the one the link asks for. */
export interface SimGateway {
  readonly endpoint: string;
  readonly asn: number;
  readonly region: string;
}

/** Carries the pre-shared keys: the gateways of the lab configure themselves from it. */
export interface SimLinkEvent {
  readonly kind: 'created' | 'deleted';
  readonly link: SimLink;
}

/** Behaviours that documentation leaves open or that services show at times. May be changed while the simulator runs. */
export interface Quirks {
  onboardingStatus: string;
  /** `trafficForwardingType` of profiles that are off in the tenant. */
  disabledProfiles: readonly string[];
  /** Whether PATCH of the association replaces the set or adds to it. */
  profilePatch: 'replace' | 'add';
  /** `201` has the body `{}`. */
  linkCreateAnswer: 201 | 204;
  /** Reads of `connectivityConfiguration` that do not show a new link yet. */
  emptyPolls: number;
  /** Reads of a list that do not show a new remote network or link yet. */
  listLag: number;
  /** Zone 2 before zone 1 in `localConfigurations`. */
  swapZones: boolean;
  /** Leave the keys out of GET answers. */
  hidePsks: boolean;
  refusePfs14: boolean;
  /** Items per page of a collection. */
  pageSize: number;
  /** Origin to put into `@odata.nextLink` instead of our own. */
  nextLinkOrigin: string | undefined;
  /** Life of a token; a string is sent as one, as the v1 endpoint does. */
  expiresIn: number | string;
  /** Application permissions in the tokens given out. */
  roles: readonly string[];
}

export const DEFAULT_QUIRKS: Quirks = {
  onboardingStatus: 'onboarded',
  disabledProfiles: [],
  profilePatch: 'replace',
  linkCreateAnswer: 201,
  emptyPolls: 0,
  listLag: 0,
  swapZones: false,
  hidePsks: false,
  refusePfs14: false,
  pageSize: 100,
  nextLinkOrigin: undefined,
  expiresIn: 3599,
  roles: ['NetworkAccess.ReadWrite.All'],
};

export interface EntraSimOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly quirks?: Partial<Quirks>;
  readonly faults?: readonly Fault[];
  /** The gateways a new link gets, zone 1 first; default: unused addresses. */
  readonly assignEndpoints?: (link: DeviceLinkBody) => readonly SimGateway[];
  readonly onLink?: (event: SimLinkEvent) => void;
}
