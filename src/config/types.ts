import type { IpAddress, Prefix } from '../lib/ip.ts';

/** The whole configuration after parsing: units are milliseconds, addresses are values, defaults are filled in. Paths are not read here. */
export interface Config {
  readonly version: 1;
  readonly site: { readonly name: string };
  readonly connectors: readonly ConnectorConfig[];
  readonly wans: readonly WanConfig[];
  readonly networks: readonly NetworkConfig[];
  readonly remoteNetwork: RemoteNetworkConfig;
  readonly links: readonly LinkConfig[];
  readonly ecmp: EcmpConfig;
  readonly policies: readonly PolicyConfig[];
  readonly probes: readonly ProbeConfig[];
  readonly telemetry: { readonly prometheus: { readonly address: IpAddress; readonly port: number } | undefined };
  readonly crypto: { readonly provider: 'node' | 'noble' };
  /** `debug.export_keys`: a directory for Wireshark key tables; the daemon also wants `--allow-key-export`. */
  readonly debug: { readonly exportKeysDir: string | undefined };
}

/** How prefixes that several tunnels lead to share them. */
export interface EcmpConfig {
  /** A tunnel that returns takes over only what pauses. */
  readonly resilient: boolean;
  readonly idleMs: number;
  /** Undefined: live flows never move. */
  readonly rebalanceMs: number | undefined;
}

export interface ConnectorConfig {
  readonly name: string;
  readonly type: 'entra-gsa' | 'defender';
  readonly tenantId: string;
  readonly clientId: string;
  readonly credential:
    | { readonly kind: 'secret'; readonly secretFile: string }
    | { readonly kind: 'certificate'; readonly certificateFile: string; readonly keyFile: string }
    | { readonly kind: 'pkcs12'; readonly pkcs12File: string; readonly passphraseFile: string | undefined };
  readonly endpoints: { readonly login: string; readonly graph: string };
}

export interface WanConfig {
  readonly name: string;
  readonly interface: string;
  /** `auto`: the interface's own address, or behind NAT the one that the IKE peers see. */
  readonly publicIp: IpAddress | 'auto';
  /**
   * Where the outside address is looked for behind NAT: among the addresses that are `known`; also `near` them; or among
   * `all` of IPv4, which takes minutes and a NAT that keeps ports.
   */
  readonly natSearch: 'known' | 'near' | 'all';
  readonly priority: number;
}

export interface NetworkConfig {
  readonly name: string;
  readonly interface: string;
  readonly prefixes: readonly Prefix[];
  readonly advertise: boolean;
}

export interface RemoteNetworkConfig {
  /** Name of an `entra-gsa` connector; undefined only with `manual`. */
  readonly connector: string | undefined;
  readonly name: string;
  readonly region: string | undefined;
  readonly profiles: readonly ('m365' | 'internet')[];
  readonly manage: 'create' | 'adopt' | 'read-only' | 'manual';
}

/** Graph's words, resolved from `mix1`…`mix8`, `default` or the long form. */
export interface IkeSuiteConfig {
  readonly name: string;
  readonly proposals: readonly {
    readonly encryption: 'aes128' | 'aes192' | 'aes256' | 'gcmAes128' | 'gcmAes256';
    readonly integrity: 'sha256' | 'sha384';
    readonly dhGroup: 14 | 19 | 20 | 24;
  }[];
}
export interface IpsecSuiteConfig {
  readonly name: string;
  readonly proposals: readonly {
    readonly encryption: 'gcmAes128' | 'gcmAes192' | 'gcmAes256';
    readonly pfsGroup: 14 | 19 | 20 | 24 | 'none';
  }[];
}

/** `auto` is the registered public IP (local) or the endpoint (remote) as ID_IPV4_ADDR; `any` accepts what the PSK proves. */
export type IdentityConfig =
  | 'auto'
  | 'any'
  | { readonly type: 'ipv4' | 'ipv6'; readonly address: IpAddress }
  | { readonly type: 'fqdn' | 'rfc822'; readonly name: string };

export interface LinkConfig {
  readonly name: string;
  readonly wan: string;
  readonly bandwidthMbps: 250 | 500 | 750 | 1000;
  readonly redundancy: 'none' | 'zone';
  readonly deviceVendor: string;
  /** Of prefixes that several links lead to each carries its part: 1–255. */
  readonly weight: number;
  readonly ike: {
    readonly suite: IkeSuiteConfig;
    readonly lifetimeMs: number;
    readonly dpdMs: number;
    /** Octets of the largest IP packet with an IKE message. */
    readonly fragmentSize: number;
    readonly localId: IdentityConfig;
    readonly remoteId: IdentityConfig;
    readonly encap: 'auto' | 'udp' | 'esp';
    /** `prefer`: ML-KEM-768 beside the group, where the peer has it. */
    readonly pq: 'off' | 'prefer';
  };
  readonly ipsec: {
    readonly suite: IpsecSuiteConfig;
    readonly lifetimeMs: number;
    /** What an SA may carry in either direction; undefined: any amount. */
    readonly lifetimeOctets: number | undefined;
    readonly lifetimePackets: number | undefined;
    readonly replayWindow: number;
    /** Outer packets show the DSCP of the inner ones. */
    readonly copyDscp: boolean;
    readonly esn: 'offer' | 'require' | 'off';
    /** PFS groups that Microsoft's own rekey may use besides those of `suite`; undefined: every group that we speak. */
    readonly acceptPfs: readonly (14 | 19 | 20 | 24 | 'none')[] | undefined;
  };
  /** How packets of each of the link's tunnels are spread over processors. */
  readonly dataPlane: {
    /** 1: one for both directions; more: one receives, the others send. */
    readonly threads: number;
    /** One for each thread, in turn; empty: wherever the kernel puts them. */
    readonly processors: readonly number[];
    /** 0: a thread without packets sleeps at once. */
    readonly busyPollUs: number;
    /** Offloads of the kernel that are not used. */
    readonly without: readonly ('tun-tso' | 'tun-uso' | 'udp-gso' | 'udp-gro')[];
    /** `vaes` where the processor has what it takes, `openssl` elsewhere. */
    readonly cipher: 'openssl' | 'vaes';
  };
  readonly psk: {
    readonly source: 'generated' | 'file';
    readonly rotateMs: number | undefined;
    readonly files: readonly string[];
  };
  readonly mtu: number;
  readonly bgp: {
    readonly localIp: IpAddress;
    readonly peerIp: IpAddress;
    readonly zonePeerIp: IpAddress | undefined;
    readonly asn: number;
    readonly holdMs: number;
    readonly minHoldMs: number;
    /** How long our OPEN waits for the peer's. */
    readonly delayOpenMs: number;
    readonly prefixLimit: {
      readonly prefixes: number;
      readonly beyond: 'warn' | 'restart' | 'down';
      readonly restartAfterMs: number;
    };
    /** Undefined: whatever no guard stops is accepted. */
    readonly importRules: readonly ImportRuleConfig[] | undefined;
    /** Undefined: every exported network is announced as it is. */
    readonly exportRules: readonly ExportRuleConfig[] | undefined;
    /** Whether the BGP speaker is asked several times a second if it is there. */
    readonly echo: boolean;
    /** Waits for the peer to connect. */
    readonly passive: boolean;
    /** RFC 5082: the peer is so many hops away; 1 is the next one. */
    readonly ttlSecurityHops: number | undefined;
    readonly exportNetworks: readonly string[];
  };
  /** Only with `manage: manual`. */
  readonly peers: readonly PeerConfig[];
}

export interface PrefixRangeConfig {
  readonly prefix: Prefix;
  readonly ge: number;
  readonly le: number;
}

/** What is given must fit, of a list one member. */
export interface ImportRuleConfig {
  readonly prefixes: readonly PrefixRangeConfig[] | undefined;
  readonly asPath:
    | {
        readonly contains: number | undefined;
        readonly origin: number | undefined;
        readonly longest: number | undefined;
      }
    | undefined;
  readonly communities: readonly number[] | undefined;
  readonly largeCommunities: readonly (readonly [number, number, number])[] | undefined;
  readonly accept: boolean;
  readonly set: { readonly preference: number | undefined; readonly med: number | undefined };
}

export interface ExportRuleConfig {
  readonly prefixes: readonly PrefixRangeConfig[] | undefined;
  readonly accept: boolean;
  readonly set: {
    readonly prepend: number | undefined;
    readonly med: number | undefined;
    readonly communities: readonly number[] | undefined;
    readonly largeCommunities: readonly (readonly [number, number, number])[] | undefined;
  };
}

export interface PeerConfig {
  readonly zone: 1 | 2;
  readonly endpoint: IpAddress;
  readonly asn: number;
  readonly bgpIp: IpAddress;
  readonly pskFile: string;
  /** TCP-MD5 (RFC 2385). */
  readonly bgpPasswordFile: string | undefined;
}

export interface PolicyConfig {
  readonly id: number;
  readonly from: readonly string[];
  readonly to: 'learned' | { readonly prefixes: readonly Prefix[] };
  readonly steer: { readonly wan: string } | undefined;
  readonly failure: 'closed' | 'open';
}

export interface ProbeConfig {
  readonly name: string;
  readonly per: 'tunnel';
  readonly http: string;
  readonly everyMs: number;
  readonly failAfter: number;
  readonly recoverAfter: number;
}

/** A mistake in the file, placed where the operator can see it. `line` and `column` count from 1. */
export interface ConfigIssue {
  readonly line: number;
  readonly column: number;
  /** `links[0].bgp.asn` */
  readonly path: string;
  /** What was expected and what came. */
  readonly message: string;
  /** A correct line to copy. */
  readonly example: string | undefined;
}
