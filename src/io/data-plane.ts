import { setTimeout as wait } from 'node:timers/promises';
import type { CapturedPacket } from '../lib/captured-packet.ts';
import type { Endpoint, EspSa, EspSaPair } from '../lib/esp-sa.ts';
import { formatIp, type IpAddress, ipFromBytes } from '../lib/ip.ts';
import {
  type Cipher,
  type NativeAddon,
  type NativeCapturedPacket,
  type NativeSa,
  type NativeTunnel,
  type NativeTunnelEvent,
  type Offload,
  SA_COUNTERS,
  TUNNEL_COUNTERS,
} from './native.ts';

export interface DataPlaneOptions {
  /** Name of the TUN device, at most 15 characters. */
  readonly interface: string;
  /** Octets of the largest inner packet; less while the path to the peer carries less. */
  readonly mtu: number;
  readonly localAddress: IpAddress;
  /** Left out by a responder: it answers whoever comes. */
  readonly remoteAddress?: IpAddress | undefined;
  /** SO_MARK of the outer packets. */
  readonly mark?: number | undefined;
  /** Outer packets use this interface only. */
  readonly device?: string | undefined;
  /** Packets; 64 to 65536, a power of two. */
  readonly replayWindow: number;
  /** Outer packets show the DSCP of the inner ones. */
  readonly copyDscp?: boolean;
  /** Left out: one thread, anywhere, that sleeps when there is nothing to do, and all that the kernel can do for it. */
  readonly tuning?: Tuning;
}

/** How the tunnel's packets are moved. */
export interface Tuning {
  /** 1: one thread for both directions. More: one receives, and the flows that leave are spread over the others. */
  readonly threads: number;
  /** Processors that the threads run on, one each, in turn; empty: the kernel decides. */
  readonly processors: readonly number[];
  /** How long a thread at most looks for packets before it sleeps, µs; 0: not at all. */
  readonly busyPollUs: number;
  /** What the kernel is not to do for the tunnel, although it could: for drivers that do it wrong. */
  readonly without?: readonly Offload[];
  /** Left out: `openssl`. `vaes` only where the addon admits it. */
  readonly cipher?: Cipher;
}

export type DataPlaneEvent =
  /** `message` is without the non-ESP marker. */
  | { readonly kind: 'ike'; readonly localPort: 500 | 4500; readonly from: Endpoint; readonly message: Uint8Array }
  /** From now on packets up to `mtu` octets fit, because the path to the peer carries `pathMtu`; the device follows. */
  | { readonly kind: 'mtu'; readonly mtu: number; readonly pathMtu: number }
  /** No packet moves any more: close the tunnel. `message` is a sentence for the operator. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** Live: each property reads what the packet path has counted by now. */
export type SaCounters = Readonly<Record<(typeof SA_COUNTERS)[number], bigint>>;
/** A snapshot. `rx_last_ms` is CLOCK_MONOTONIC in milliseconds, 0 = never. */
export type TunnelCounters = Readonly<Record<(typeof TUNNEL_COUNTERS)[number], bigint>>;

/** Packets as they enter and leave the tunnel device, or as they pass on the wire. */
export type CaptureSide = 'inner' | 'outer';

/** The kernel refused something; `message` says what and what to do about it. */
export class DataPlaneError extends Error {
  /** errno name, such as `EPERM`. */
  readonly code: string;

  constructor(code: string, message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'DataPlaneError';
    this.code = code;
  }
}

/** A tunnel of the native data plane in the words of the rest of the program. Packets never come this way. */
export interface DataPlaneTunnel {
  readonly interfaceIndex: number;
  counters(): TunnelCounters;
  /** The SA receives from now on. */
  addInbound(sa: EspSa): SaCounters;
  removeInbound(spi: number): void;
  /** Packets leave through `pair.outbound` from the next one on; its predecessor is zeroised. The device has carrier. */
  setOutbound(pair: Pick<EspSaPair, 'outbound' | 'encapsulation' | 'remote'>): SaCounters;
  /** The remote end has another address or port: the outbound SA, if there is one, goes on there. */
  moveOutbound(remote: Endpoint): void;
  /**
   * The device loses its carrier, so that the kernel takes its nexthops out of its groups, until there is an outbound SA
   * again. A new device has none.
   */
  clearOutbound(): void;
  sendIke(localPort: 500 | 4500, to: Endpoint, message: Uint8Array): void;
  sendKeepalive(to: Endpoint): void;
  /**
   * The last packets of one side, recorded while they pass: `packets` of each thread at most, `snapLength` octets of each.
   * Throws when there is a capture already.
   */
  startCapture(side: CaptureSide, limits: { readonly packets: number; readonly snapLength: number }): void;
  /** Ends the capture; what it holds, in the order of time. */
  endCapture(): Promise<readonly CapturedPacket[]>;
  /**
   * No packet moves and no event comes afterwards. Keys are zeroised, the device removed and the sockets closed beside the event
   * loop: resolves when that is done, and only then can the interface's name be opened again. Harmless when repeated.
   */
  close(): Promise<void>;
}

/** Throws `DataPlaneError` when the kernel refuses. */
export function openTunnel(
  addon: NativeAddon,
  options: DataPlaneOptions,
  onEvent: (event: DataPlaneEvent) => void,
): DataPlaneTunnel {
  const { mark, device, remoteAddress, copyDscp = false } = options;
  const { cipher = 'openssl', ...tuning } = options.tuning ?? {};
  const native = explained(options, () =>
    addon.openTunnel(
      {
        interface: options.interface,
        mtu: options.mtu,
        localAddress: options.localAddress.bytes,
        ...(remoteAddress === undefined ? {} : { remoteAddress: remoteAddress.bytes }),
        ...(mark === undefined ? {} : { mark }),
        ...(device === undefined ? {} : { device }),
        copyDscp,
        ...tuning,
      },
      (event) => onEvent(translate(event, options)),
    ),
  );
  return wrap(native, options, cipher);
}

function wrap(native: NativeTunnel, options: DataPlaneOptions, cipher: Cipher): DataPlaneTunnel {
  const nativeSa = (sa: EspSa): NativeSa => ({
    spi: sa.spi,
    key: sa.key.reveal(),
    salt: sa.salt.reveal(),
    esn: sa.esn,
    replayWindow: options.replayWindow,
    cipher,
  });
  return {
    interfaceIndex: native.interfaceIndex,
    counters: () =>
      Object.fromEntries(TUNNEL_COUNTERS.map((name, i) => [name, native.counters[i] ?? 0n])) as TunnelCounters,
    addInbound: (sa) => saCounters(explained(options, () => native.addInbound(nativeSa(sa)))),
    removeInbound: (spi) => native.removeInbound(spi),
    setOutbound: ({ outbound, encapsulation, remote }) =>
      saCounters(
        explained(options, () =>
          native.setOutbound(nativeSa(outbound), encapsulation, remote.address.bytes, remote.port),
        ),
      ),
    moveOutbound: ({ address, port }) => native.moveOutbound(address.bytes, port),
    clearOutbound: () => explained(options, () => native.clearOutbound()),
    sendIke: (localPort, to, message) => native.sendIke(localPort, to.address.bytes, to.port, message),
    sendKeepalive: (to) => native.sendKeepalive(to.address.bytes, to.port),
    startCapture: (side, { packets, snapLength }) =>
      explained(options, () => native.startCapture(side, packets, snapLength)),
    endCapture: () => collected(native, options),
    close: () => native.close(),
  };
}

async function collected(native: NativeTunnel, options: DataPlaneOptions): Promise<readonly CapturedPacket[]> {
  native.endCapture();
  for (;;) {
    const packets = native.collectCapture();
    // The threads were woken, and record nothing more within a turn of their loops.
    if (packets === undefined) await wait(1);
    else return packets.map((packet) => captured(packet, options)).sort((a, b) => (a.timeNs < b.timeNs ? -1 : 1));
  }
}

function captured(packet: NativeCapturedPacket, { localAddress }: DataPlaneOptions): CapturedPacket {
  const { timeNs, length, sent, octets, localPort, remotePort, remoteAddress } = packet;
  const known = { timeNs, length, sent, octets };
  if (remoteAddress === undefined || localPort === undefined || remotePort === undefined) return known;
  const remote = { address: ipFromBytes(remoteAddress), port: remotePort };
  return { ...known, outside: { local: { address: localAddress, port: localPort }, remote } };
}

function saCounters(view: BigUint64Array): SaCounters {
  const counters = {};
  for (const [i, name] of SA_COUNTERS.entries()) {
    Object.defineProperty(counters, name, { enumerable: true, get: () => view[i] ?? 0n });
  }
  return counters as SaCounters;
}

function translate(event: NativeTunnelEvent, options: DataPlaneOptions): DataPlaneEvent {
  if (event.kind === 'failed') {
    return { kind: 'failed', code: event.code, message: explain(event.code, event.syscall, options) };
  }
  if (event.kind === 'mtu') return event;
  const { localPort, message, remotePort: port } = event;
  return { kind: 'ike', localPort, from: { address: ipFromBytes(event.remoteAddress), port }, message };
}

function explained<T>(options: DataPlaneOptions, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || !('syscall' in cause)) throw cause;
    const code = String(cause.code);
    throw new DataPlaneError(code, explain(code, String(cause.syscall), options), cause);
  }
}

/** What the operator reads: what could not be done, why, and the remedy. */
function explain(code: string, syscall: string, options: DataPlaneOptions): string {
  const local = formatIp(options.localAddress);
  switch (`${code} ${syscall}`) {
    case 'ENOENT open /dev/net/tun':
    case 'ENODEV open /dev/net/tun':
    case 'ENXIO open /dev/net/tun':
      return '/dev/net/tun is missing: load the tun module (modprobe tun) or pass --device /dev/net/tun to the container.';
    case 'EACCES open /dev/net/tun':
    case 'EPERM open /dev/net/tun':
      return '/dev/net/tun may not be opened: allow it (systemd: DeviceAllow=/dev/net/tun rw; container: --device /dev/net/tun).';
    case 'EBUSY TUNSETIFF':
      return `The interface name ${options.interface} is in use by another program: stop it (is a second tunwrightd running?).`;
    case 'EINVAL TUNSETIFF':
      return `${options.interface} cannot be made a TUN device: an interface of another kind has that name; remove or rename it.`;
    case 'EACCES bind':
      return 'UDP ports 500 and 4500 need CAP_NET_BIND_SERVICE: run as root or grant it (container: --cap-add NET_BIND_SERVICE).';
    case 'EADDRINUSE bind':
      return `UDP port 500 or 4500 on ${local} is taken: stop the other IKE daemon (strongSwan: systemctl stop strongswan; find it with ss -ulpn).`;
    case 'EADDRNOTAVAIL bind':
      return `${local} is not an address of this machine: check the addresses of the WAN interface.`;
    case 'ENODEV SO_BINDTODEVICE':
      return `The WAN interface ${options.device ?? ''} does not exist: check its name in the configuration (ip link).`;
    case 'ENETUNREACH connect':
    case 'EHOSTUNREACH connect':
      return `There is no route from ${local} to the peer: the WAN needs a default route.`;
    case 'EPERM raw ESP socket':
      return 'ESP without UDP encapsulation needs CAP_NET_RAW: run as root, grant it (systemd: AmbientCapabilities=CAP_NET_RAW; container: --cap-add NET_RAW) or use encap: udp.';
    case 'EINVAL sched_setaffinity':
      return `links[].data_plane.processors names a processor that this machine does not have, or that the service may not use: nproc and \`taskset -p $$\` tell.`;
    case 'EBUSY startCapture':
      return `Packets of ${options.interface} are being captured already: wait for the end of that capture.`;
    case 'ENOBUFS startCapture':
      return `A capture on ${options.interface} would take more than 64 MiB: ask for fewer packets or fewer octets of each.`;
    case 'EEXIST addInbound':
      return `An inbound SA with this SPI is installed on ${options.interface} already.`;
    case 'ENOSPC addInbound':
      return `${options.interface} has too many inbound SAs: remove those that were replaced.`;
  }
  if (code === 'EPERM') {
    return `${syscall} was refused for ${options.interface}: CAP_NET_ADMIN is missing; run as root or grant it (systemd: AmbientCapabilities=CAP_NET_ADMIN; container: --cap-add NET_ADMIN).`;
  }
  if (code === 'ENODEV') return `The TUN device ${options.interface} was removed by another program.`;
  return `${syscall} failed for ${options.interface}: ${code}.`;
}
