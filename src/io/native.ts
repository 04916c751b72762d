import type { Encapsulation } from '../lib/esp-sa.ts';

/**
 * What the addon exports, untyped bytes and plain numbers only; `data-plane.ts`, `netlink.ts`, `tcp.ts` and `icmp.ts`
 * give it shapes with meaning. Every function throws `TypeError` on a bad argument and `Error` with `code`
 * (errno name, such as `EPERM`) and `syscall` when the kernel refuses.
 */
export interface NativeAddon {
  /** Opens the TUN device, the UDP sockets and, where it may, the ESP socket; starts the tunnel's threads. */
  openTunnel(options: NativeTunnelOptions, onEvent: (event: NativeTunnelEvent) => void): NativeTunnel;
  /**
   * An AF_NETLINK socket on the event loop; `onMessage` gets each datagram received (copied). An empty one means that
   * the kernel dropped messages (ENOBUFS). `groups` are group numbers, not masks. What requests of the socket with the
   * port id `deafTo` cause is not told.
   */
  openNetlink(
    protocol: number,
    groups: readonly number[],
    onMessage: (datagram: Uint8Array) => void,
    deafTo?: number,
  ): NativeNetlink;
  /** A bound, configured, unconnected TCP socket for `new net.Socket({ fd })` or, with `listen`, for `server.listen({ fd })`. */
  openTcp(options: NativeTcpOptions): number;
  /** A raw IPv4 socket of `protocol` (1 = ICMP) on the event loop; datagrams arrive with their IP header. */
  openRaw(protocol: number, options: NativeSocketOptions, onMessage: (datagram: Uint8Array) => void): NativeRawSocket;
  /** SO_PEERCRED of a connected unix socket. */
  peerCredentials(fd: number): { pid: number; uid: number; gid: number };
  /** AES-GCM of the running Node's OpenSSL exactly as the packet path uses it; for the self-test and the conformance suite. */
  espSeal(sa: NativeSa, sequence: bigint, innerPacket: Uint8Array): Uint8Array;
  /**
   * Undefined when the packet is malformed or its ICV does not verify. `highest`: the largest sequence number verified
   * so far (0 when left out), which decides the high half with ESN.
   */
  espOpen(
    sa: NativeSa,
    packet: Uint8Array,
    highest?: bigint,
  ): { sequence: bigint; innerPacket: Uint8Array } | undefined;
  /** ECDH by the running Node's OpenSSL with one multiplication in constant time: what `EcpAgreement` of src/crypto asks. */
  agreeEcp(group: 19 | 20, privateValue: Uint8Array, point: Uint8Array): Uint8Array | undefined;
  /**
   * Looks for the IPv4 endpoint whose NAT_DETECTION hash (RFC 7296 §2.23) with `spis` (16 octets) is `hash` (20 octets), on
   * a thread of the lowest priority: about 4 ms for all ports of an address. `onDone` comes once, unless it was cancelled.
   */
  searchNat(
    spis: Uint8Array,
    hash: Uint8Array,
    steps: readonly NativeNatStep[],
    onDone: (found: { address: Uint8Array; port: number } | undefined) => void,
  ): { cancel(): void };
  /** Whether SAs may name the cipher `vaes`. The first call compares it with OpenSSL, which takes some milliseconds. */
  vaesStatus(): 'admitted' | 'unsupported' | 'wrong';
  /** The receiving half of an SA, as the packet path has it; for the conformance suite. */
  createEspOpener(sa: NativeSa): NativeEspOpener;
  /** RFC 4303 anti-replay state machine, as the packet path uses it. */
  createReplayWindow(size: number): NativeReplayWindow;
}

export interface NativeSocketOptions {
  /** SO_MARK; needs CAP_NET_ADMIN. */
  readonly mark?: number;
  /** SO_BINDTODEVICE. */
  readonly device?: string;
  /** 4 or 16 octets. */
  readonly localAddress?: Uint8Array;
}

export interface NativeTcpOptions extends NativeSocketOptions {
  readonly localPort?: number;
  readonly listen?: boolean;
  /** IP_TTL / IPV6_UNICAST_HOPS, 1 to 255. */
  readonly ttl?: number;
  /** TCP_MAXSEG in octets. */
  readonly maxSegment?: number;
  /** TCP_USER_TIMEOUT. */
  readonly userTimeoutMs?: number;
  /** IP_TOS octet; 0xc0 = CS6, network control. */
  readonly tos?: number;
  /** IP_MINTTL / IPV6_MINHOPCOUNT, 1 to 255. */
  readonly minTtl?: number;
  /** TCP_MD5SIG: `peer` of 4 or 16 octets, `key` of 1 to 80. */
  readonly md5?: readonly { readonly peer: Uint8Array; readonly key: Uint8Array }[];
}

/** Segmentation and joining of TCP and UDP by the TUN device; trains of UDP datagrams sent and received. */
export const OFFLOADS = ['tun-tso', 'tun-uso', 'udp-gso', 'udp-gro'] as const;
export type Offload = (typeof OFFLOADS)[number];

/** Who encrypts: the OpenSSL of the running Node, or our own code for processors with VAES and AVX-512. */
export const CIPHERS = ['openssl', 'vaes'] as const;
export type Cipher = (typeof CIPHERS)[number];

export interface NativeTunnelOptions extends NativeSocketOptions {
  /** Device name, at most 15 characters. */
  readonly interface: string;
  /** Octets of the largest inner packet; less while the path to the peer carries less. */
  readonly mtu: number;
  readonly localAddress: Uint8Array;
  /** Connects the UDP sockets to this peer; left out by a responder, which learns its peer. */
  readonly remoteAddress?: Uint8Array;
  /** The outer header shows the inner one's DSCP; left out: it is zero. ECN is always carried across (RFC 6040). */
  readonly copyDscp?: boolean;
  /** 1: one thread for both directions. More: one receives, and the flows that leave are spread over the others. 1 to 16. */
  readonly threads?: number;
  /** Processors that the threads run on, one each, in turn. */
  readonly processors?: readonly number[];
  /** How long a thread at most looks for packets before it sleeps, µs; 0: not at all. */
  readonly busyPollUs?: number;
  /** What the kernel is not to do for the tunnel, although it could. */
  readonly without?: readonly Offload[];
}

export interface NativeSa {
  readonly spi: number;
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
  readonly esn: boolean;
  /** Packets; 64 to 65536, a power of two. Inbound only. */
  readonly replayWindow: number;
  /** Left out: `openssl`. An SA with `vaes` throws unless that is admitted. */
  readonly cipher?: Cipher;
  /** Of an outbound SA that has been used before; 1 when left out. */
  readonly nextSequence?: bigint;
}

/** `count` addresses from `first` on, as numbers; port 0 means every port. */
export interface NativeNatStep {
  readonly first: number;
  readonly count: number;
  readonly port: number;
}

export interface NativeTunnel {
  readonly interfaceIndex: number;
  /** u64 counters in the order of TUNNEL_COUNTERS, written by the tunnel's threads; reading needs no call. */
  readonly counters: BigUint64Array;
  /** Adds an inbound SA; returns its counters in the order of SA_COUNTERS. */
  addInbound(sa: NativeSa): BigUint64Array;
  removeInbound(spi: number): void;
  /**
   * Makes `sa` the outbound SA from the next packet on and zeroises the one it replaces; returns its counters. The device
   * has carrier from now on, until its sequence numbers end. With `esp` encapsulation the port means nothing, and a process without CAP_NET_RAW gets `EPERM`.
   */
  setOutbound(
    sa: NativeSa,
    encapsulation: Encapsulation,
    remoteAddress: Uint8Array,
    remotePort: number,
  ): BigUint64Array;
  /** The remote end has another address or port: the outbound SA goes on there, with its sequence numbers. */
  moveOutbound(remoteAddress: Uint8Array, remotePort: number): void;
  /**
   * The device loses its carrier, and with it the kernel takes its nexthops out of every group; what still comes from it is
   * dropped and counted. A new device is like that.
   */
  clearOutbound(): void;
  /**
   * Sends an IKE message from local port 500 or 4500; the non-ESP marker is added on 4500. What the network refuses is
   * counted (`tx_drop_send`), not thrown: retransmission deals with it.
   */
  sendIke(localPort: 500 | 4500, remoteAddress: Uint8Array, remotePort: number, message: Uint8Array): void;
  /** A single 0xff octet from port 4500 (RFC 3948 §4). */
  sendKeepalive(remoteAddress: Uint8Array, remotePort: number): void;
  /**
   * From now on each thread keeps the last `packets` (1 to 16,384) packets of that side, `snapLength` octets (64 to 9,216) of
   * each. `EBUSY` when there is a capture already, `ENOBUFS` when it would take more than 64 MiB.
   */
  startCapture(side: 'inner' | 'outer', packets: number, snapLength: number): void;
  endCapture(): void;
  /** Thread by thread, oldest first; undefined, and to be asked again, while one may still be recording. */
  collectCapture(): readonly NativeCapturedPacket[] | undefined;
  /**
   * Stops the threads before it returns: no event comes afterwards. Zeroises keys, closes the device and the sockets on another
   * thread, and resolves when they are gone.
   */
  close(): Promise<void>;
}

export type NativeTunnelEvent =
  | { kind: 'ike'; localPort: 500 | 4500; remoteAddress: Uint8Array; remotePort: number; message: Uint8Array }
  /** The tunnel's MTU, and the device's with it, follows the path's; octets. */
  | { kind: 'mtu'; mtu: number; pathMtu: number }
  /** The kernel refused something for good; the tunnel no longer moves packets. */
  | { kind: 'failed'; code: string; syscall: string };

/** Inner: an IP packet. Outer: what UDP port `localPort` carries, or, with port 0, ESP; with the remote end. */
export interface NativeCapturedPacket {
  /** Since 1970. */
  readonly timeNs: bigint;
  /** Octets of the whole packet. */
  readonly length: number;
  readonly sent: boolean;
  readonly octets: Uint8Array;
  readonly localPort?: number;
  readonly remotePort?: number;
  readonly remoteAddress?: Uint8Array;
}

export interface NativeNetlink {
  /** Port id (nl_pid). */
  readonly port: number;
  send(datagram: Uint8Array): void;
  /**
   * Sends one after the other from another thread, which the kernel keeps busy with what the datagrams ask; array and octets must
   * stay as they are until `onSent`. `errno`: 0 when all were sent; else what kept the first one, with which it stopped.
   */
  sendAside(datagrams: readonly Uint8Array[], onSent: (errno: number) => void): void;
  close(): void;
}
export interface NativeRawSocket {
  sendTo(address: Uint8Array, packet: Uint8Array): void;
  close(): void;
}
export interface NativeEspOpener {
  /** Of the sequence numbers so far, as SA_COUNTERS say. */
  gaps(): { missing: bigint; reordered: bigint };
  /** What came out, or why nothing did. */
  open(
    packet: Uint8Array,
  ): { sequence: bigint; innerPacket: Uint8Array } | 'dummy' | 'malformed' | 'replayed' | 'not-authentic';
}
export interface NativeReplayWindow {
  /** `fresh`: could be legitimate, verify the ICV next. */
  check(sequence: bigint): 'fresh' | 'replayed' | 'too-old';
  /** Only after the ICV verified. */
  mark(sequence: bigint): void;
}

export const TUNNEL_COUNTERS = [
  'tx_packets',
  'tx_bytes',
  'tx_drop_no_sa',
  'tx_drop_too_big',
  'tx_drop_sequence',
  'tx_drop_send',
  'tx_drop_malformed',
  'rx_packets',
  'rx_bytes',
  'rx_drop_no_sa',
  'rx_drop_replay',
  'rx_drop_auth',
  'rx_drop_malformed',
  'rx_drop_policy',
  'rx_drop_tun',
  'rx_dummy',
  'ike_rx',
  'ike_drop_queue',
  'keepalive_rx',
  'rx_last_ms',
] as const;

/**
 * `sequence` is the highest number, `missing` how many below it have not come (so far), `reordered` how many came after a
 * higher one: of an inbound SA. `last_used_ms` is CLOCK_MONOTONIC in milliseconds, 0 = never.
 */
export const SA_COUNTERS = [
  'packets',
  'bytes',
  'sequence',
  'missing',
  'reordered',
  'drop_replay',
  'drop_auth',
  'drop_malformed',
  'drop_policy',
  'drop_too_big',
  'drop_queue',
  'last_used_ms',
] as const;
