import type { CryptoProvider, DhGroup, Random } from '../crypto/types.ts';
import type { Endpoint, EspSaPair } from '../lib/esp-sa.ts';
import type { IpAddress } from '../lib/ip.ts';
import type { Secret } from '../lib/secret.ts';

/** The key exchange that a hybrid suite has besides its group, RFC 9370. */
export type AdditionalKe = 'mlKem768';

/** Phase 1 algorithms: each suite is one proposal. For AES-GCM (RFC 5282) `integrity` only names the PRF's hash. */
export interface IkeSuite {
  readonly encryption: 'aes128' | 'aes192' | 'aes256' | 'gcmAes128' | 'gcmAes256';
  readonly integrity: 'sha256' | 'sha384';
  readonly dhGroup: DhGroup;
  /** Left out: a classic suite. */
  readonly additionalKe?: AdditionalKe;
}

/** Phase 2 algorithms. `pfsGroup` is first used by a rekey: IKE_AUTH carries no KE (RFC 7296 §1.2). */
export interface EspSuite {
  readonly encryption: 'gcmAes128' | 'gcmAes192' | 'gcmAes256';
  readonly pfsGroup: DhGroup | 'none';
  /** Only beside a group; used by rekeys, as the group is. */
  readonly additionalKe?: AdditionalKe;
}

/** Sequence numbers of ESP. `offer`: 64 bits or 32, as the peer likes. `require`: 64 only. `off`: 32 only. RFC 7296 §3.3.2. */
export type EsnPolicy = 'offer' | 'require' | 'off';

/** What the ends agreed on for a CHILD_SA. */
export interface ChildSuite extends EspSuite {
  /** Extended (64-bit) sequence numbers, RFC 4303 §2.2.1. */
  readonly esn: boolean;
}

/** RFC 7296 §3.5. */
export type Identity =
  | { readonly type: 'ipv4'; readonly address: IpAddress }
  | { readonly type: 'ipv6'; readonly address: IpAddress }
  | { readonly type: 'fqdn' | 'rfc822'; readonly name: string }
  | { readonly type: 'key-id'; readonly id: Uint8Array };

export interface IkeConfig {
  readonly role: 'initiator' | 'responder';
  readonly localAddress: IpAddress;
  /** Where an initiator sends; a responder takes the source of the first request. */
  readonly remoteAddress: IpAddress | undefined;
  readonly localId: Identity;
  /** What an initiator asks for (IDr) and both ends expect; `any`: asks for none and expects none. */
  readonly remoteId: Identity | 'any';
  /**
   * False: `remoteId` is only a guess, so a peer that proves the PSK under another identity is accepted and the history
   * says so. Left out: such a peer is refused.
   */
  readonly remoteIdStrict?: boolean;
  readonly psk: Secret;
  readonly ikeSuites: readonly IkeSuite[];
  readonly espSuites: readonly EspSuite[];
  /** Left out: `offer`. */
  readonly esn?: EsnPolicy;
  /** When an SA ends for good; its rekey begins at 80 to 90 % of it. */
  readonly ikeLifetimeMs: number;
  readonly childLifetimeMs: number;
  /** What a CHILD_SA may carry in either direction, inner packets counted; its rekey begins at 80 to 90 %. Left out: any amount. */
  readonly childLifetimeOctets?: number;
  readonly childLifetimePackets?: number;
  /**
   * PFS groups that a peer's CHILD_SA rekey may use besides those of `espSuites`. Left out: every group that we speak, but
   * not `none`.
   */
  readonly acceptPfsGroups?: readonly EspSuite['pfsGroup'][];
  /**
   * Rekeys the first CHILD_SA soon after bring-up: IKE_AUTH needs no PFS group, so a mismatch would stay hidden until the
   * first lifetime ends. Left out: no.
   */
  readonly pfsProof?: boolean;
  /** Idle time after which an empty INFORMATIONAL probes the peer. */
  readonly dpdIntervalMs: number;
  /**
   * Octets of the largest IP packet that carries a protected message, 256 or more, if the peer takes fragments (RFC 7383).
   * Left out: 1280.
   */
  readonly fragmentSize?: number;
  /** `udp` fakes the NAT source hash so that both ends encapsulate; `auto` encapsulates only behind a NAT. */
  readonly encapsulation: 'udp' | 'auto';
  /** Emits `keys` outputs for a debugging tap. Off unless the operator allowed it twice. */
  readonly exportKeys: boolean;
}

export interface IkeDependencies {
  readonly crypto: CryptoProvider;
  readonly random: Random;
}

export type IkeInput =
  | { readonly kind: 'start' }
  /** One IKE message, non-ESP marker removed. */
  | { readonly kind: 'datagram'; readonly localPort: 500 | 4500; readonly from: Endpoint; readonly bytes: Uint8Array }
  /** ESP arrived since the last input: counts as liveness. `spiIn`: on which SA; after a peer's rekey, that one is in use. */
  | { readonly kind: 'inbound-traffic'; readonly spiIn?: number }
  /**
   * ESP left since the last input, which keeps a NAT's mapping open. `answered`: some came as well; left out: none, so if
   * the peer is gone, this traffic is being lost. A few times a second, so that silence and a late answer differ.
   */
  | { readonly kind: 'outbound-traffic'; readonly answered?: boolean }
  /** What CHILD_SAs have carried so far. Once a second keeps limits at any rate; without it there are none. */
  | { readonly kind: 'usage'; readonly children: readonly ChildUsage[] }
  /** Rekeys now what a lifetime would rekey later. */
  | { readonly kind: 'rekey'; readonly what: 'ike' | 'child' }
  /** Sends DELETE for the SA in use. What an initiator lacks then, it builds anew. */
  | { readonly kind: 'delete'; readonly what: 'ike' | 'child' }
  | { readonly kind: 'timeout' }
  /** Sends DELETE and stops for good. */
  | { readonly kind: 'stop' };

/** Counters of one CHILD_SA since it was installed; `sequence`: the highest number sent, and received and verified. */
export interface ChildUsage {
  readonly spiIn: number;
  readonly octetsIn: number;
  readonly octetsOut: number;
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly sequenceIn: number;
  readonly sequenceOut: number;
}

export type IkeOutput =
  | { readonly kind: 'send'; readonly localPort: 500 | 4500; readonly to: Endpoint; readonly bytes: Uint8Array }
  /** Install both directions now, inbound first; an earlier pair keeps receiving until its `child-down`. */
  | { readonly kind: 'child-up'; readonly child: EspSaPair; readonly suite: ChildSuite }
  /** Install the inbound half only: the peer does not receive on the other half yet. `child-outbound` or `child-down` follows. */
  | { readonly kind: 'child-inbound'; readonly child: EspSaPair; readonly suite: ChildSuite }
  /** Send on this pair from now on. */
  | { readonly kind: 'child-outbound'; readonly spiIn: number }
  /** Stop receiving on this pair; when it is the one in use, stop sending too. */
  | { readonly kind: 'child-down'; readonly spiIn: number; readonly reason: string }
  /** A responder's peer has another address or port: ESP of every pair goes there from now on (RFC 7296 §2.23). */
  | { readonly kind: 'child-moved'; readonly remote: Endpoint }
  | { readonly kind: 'keepalive'; readonly to: Endpoint }
  /** An initiator's peer has authenticated itself, and this is how it saw us. Once for each IKE SA that IKE_SA_INIT began. */
  | { readonly kind: 'sighted'; readonly sighting: PeerSighting }
  | { readonly kind: 'history'; readonly event: IkeHistoryEvent }
  | { readonly kind: 'keys'; readonly ike: ExportedIkeKeys }
  | { readonly kind: 'stopped' };

/**
 * How the peer saw our IKE_SA_INIT request arrive: the NAT_DETECTION_DESTINATION_IP of its response, SHA-1(SPIi | SPIr | IP |
 * port) of RFC 7296 §2.23. AUTH covers that response (§2.15), so only the peer itself can have written it.
 */
export interface PeerSighting {
  readonly spiI: Uint8Array;
  readonly spiR: Uint8Array;
  /** Mostly one; none when the peer does not detect NATs. */
  readonly hashes: readonly Uint8Array[];
  /** What we sent from. */
  readonly local: Endpoint;
  /** No hash covers `local`: a NAT is between. */
  readonly translated: boolean;
}

/** One row of the IKE history: an exchange that ended, well or not. The shell adds tunnel and time. */
export interface IkeHistoryEvent {
  readonly exchange:
    | 'IKE_SA_INIT'
    | 'IKE_INTERMEDIATE'
    | 'IKE_AUTH'
    | 'CREATE_CHILD_SA'
    | 'IKE_FOLLOWUP_KE'
    | 'INFORMATIONAL';
  /** Who asked: `out` = our request. */
  readonly direction: 'out' | 'in';
  readonly messageId: number;
  readonly result: 'ok' | 'failed' | 'timeout' | 'retry';
  /** What happened, in words: expected, got, remedy. Of a success: what about it deserves a look, mostly nothing. */
  readonly reason: string;
  readonly spiI: string;
  readonly spiR: string;
  /** As offered or chosen, such as `AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384`. */
  readonly proposal: string;
  readonly peer: string;
  readonly durationMs: number;
  /** All proposals of our message, or what we would have accepted; empty where none was at stake. `+` between alternatives. */
  readonly proposalLocal: string;
  /** All proposals of the peer's message, as far as there was one. */
  readonly proposalPeer: string;
  /** Names of the notifies in our message and in the peer's, comma between them. */
  readonly notifySent: string;
  readonly notifyReceived: string;
  /** Who is behind a NAT, as this IKE_SA_INIT found; empty for other exchanges. */
  readonly nat: NatFound;
}

export type NatFound = '' | 'none' | 'local' | 'remote' | 'both';

/** What `status` shows of one connection; hex SPIs without 0x. */
export interface IkeView {
  readonly state: 'idle' | 'connecting' | 'established' | 'backoff' | 'stopped';
  /** Why the last attempt failed, in words, until an attempt succeeds. */
  readonly lastError: string | undefined;
  /** Milliseconds until the next attempt, in `backoff`. */
  readonly retryInMs: number | undefined;
  /** Why the last rekey failed, in words, until one succeeds. The SA lives on meanwhile. */
  readonly rekeyError?: string | undefined;
  /** That the peer narrowed the traffic selectors of the CHILD_SA in use, or of the one that was refused for it. */
  readonly narrowed?: string | undefined;
  /** That a limit of octets or packets is too small for the traffic, and what would do. */
  readonly lifetimeError?: string | undefined;
  readonly spiI: string | undefined;
  readonly spiR: string | undefined;
  readonly suite: string | undefined;
  readonly ageMs: number | undefined;
  readonly rekeyInMs: number | undefined;
  /** Are we, or is the peer, behind a NAT (RFC 7296 §2.23)? Forced encapsulation does not count. */
  readonly nat: { readonly local: boolean; readonly remote: boolean } | undefined;
  readonly remote: Endpoint | undefined;
  readonly child:
    | {
        readonly spiIn: number;
        readonly spiOut: number;
        readonly suite: string;
        readonly ageMs: number;
        readonly rekeyInMs: number;
        /** What may pass before the rekey, as of the last report; undefined without a limit. Sequence numbers are packets. */
        readonly rekeyInOctets: number | undefined;
        readonly rekeyInPackets: number | undefined;
        readonly encapsulation: 'udp' | 'esp';
      }
    | undefined;
}

/** SK_* of one IKE SA in hex, for Wireshark's ikev2_decryption_table. */
export interface ExportedIkeKeys {
  readonly spiI: string;
  readonly spiR: string;
  readonly suite: IkeSuite;
  readonly skEi: string;
  readonly skEr: string;
  readonly skAi: string;
  readonly skAr: string;
}
