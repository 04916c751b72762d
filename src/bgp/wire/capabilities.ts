import { Reader, WireError, Writer } from '../../lib/bytes.ts';
import { CapabilityCode, familyName } from './iana.ts';

/** RFC 5492 §4. A capability that is not known, or whose value does not parse, is kept as `unknown` and not used. */
export type Capability =
  | { readonly kind: 'multiprotocol'; readonly afi: number; readonly safi: number }
  | { readonly kind: 'route-refresh' }
  | { readonly kind: 'enhanced-route-refresh' }
  | { readonly kind: 'extended-message' }
  | { readonly kind: 'four-octet-as'; readonly asn: number }
  /** RFC 9234 §4.1: 0 provider, 1 route server, 2 its client, 3 customer, 4 peer. */
  | { readonly kind: 'role'; readonly role: number }
  | GracefulRestartCapability
  | { readonly kind: 'unknown'; readonly code: number; readonly bytes: Uint8Array };

/** RFC 4724 §3, RFC 8538 §2. */
export interface GracefulRestartCapability {
  readonly kind: 'graceful-restart';
  /** R bit: the sender has just restarted. */
  readonly restarting: boolean;
  /** N bit, RFC 8538. */
  readonly notification: boolean;
  /** 0 to 4095. */
  readonly restartTimeSec: number;
  readonly families: readonly {
    readonly afi: number;
    readonly safi: number;
    /** F bit: forwarding state was kept. */
    readonly forwarding: boolean;
  }[];
}

interface CapabilityCodec<C> {
  readonly code: number;
  decode(r: Reader): C;
  encode(w: Writer, capability: C): void;
  describe(capability: C): string;
}

type Known = Exclude<Capability, { kind: 'unknown' }>;
type Codecs = { readonly [K in Known['kind']]: CapabilityCodec<Extract<Known, { kind: K }>> };

const CAPABILITIES: Codecs = {
  multiprotocol: {
    code: CapabilityCode.Multiprotocol,
    decode(r) {
      const afi = r.u16();
      r.skip(1); // reserved
      return { kind: 'multiprotocol', afi, safi: r.u8() };
    },
    encode(w, c) {
      w.u16(c.afi).u8(0).u8(c.safi);
    },
    describe: (c) => familyName(c.afi, c.safi),
  },
  'route-refresh': flag('route-refresh', CapabilityCode.RouteRefresh, 'route refresh'),
  'enhanced-route-refresh': flag(
    'enhanced-route-refresh',
    CapabilityCode.EnhancedRouteRefresh,
    'enhanced route refresh',
  ),
  'extended-message': flag('extended-message', CapabilityCode.ExtendedMessage, 'extended messages'),
  'four-octet-as': {
    code: CapabilityCode.FourOctetAs,
    decode: (r) => ({ kind: 'four-octet-as', asn: r.u32() }),
    encode(w, c) {
      w.u32(c.asn);
    },
    describe: (c) => `4-octet AS ${c.asn}`,
  },
  role: {
    code: CapabilityCode.Role,
    decode: (r) => ({ kind: 'role', role: r.u8() }),
    encode(w, c) {
      w.u8(c.role);
    },
    describe: (c) => `role ${['provider', 'rs', 'rs-client', 'customer', 'peer'][c.role] ?? c.role}`,
  },
  'graceful-restart': {
    code: CapabilityCode.GracefulRestart,
    decode: decodeGracefulRestart,
    encode: encodeGracefulRestart,
    describe: (c) => `graceful restart ${c.restartTimeSec} s`,
  },
};

const BY_CODE = new Map<number, CapabilityCodec<Capability>>(
  Object.values(CAPABILITIES).map((codec) => [codec.code, codec]),
);

/** Often offered by others, of no use here. */
const NAMES: Readonly<Record<number, string>> = {
  5: 'extended next hop',
  69: 'add-path',
  71: 'long-lived graceful restart',
  73: 'FQDN',
  128: 'route refresh (before RFC 2918)',
};

/** A run of code, length, value triplets up to the end of `r`. */
export function decodeCapabilities(r: Reader): Capability[] {
  const capabilities: Capability[] = [];
  while (r.remaining > 0) {
    const code = r.u8();
    const value = r.sub(r.u8());
    capabilities.push(decodeOne(code, value));
  }
  return capabilities;
}

export function encodeCapabilities(w: Writer, capabilities: readonly Capability[]): void {
  for (const capability of capabilities) encodeOne(w, capability);
}

/** Short words for the operator's list. */
export function describeCapability(capability: Capability): string {
  if (capability.kind === 'unknown') return NAMES[capability.code] ?? `capability ${capability.code}`;
  return codecOf(capability).describe(capability);
}

function decodeOne(code: number, value: Reader): Capability {
  const bytes = value.rest();
  try {
    const r = new Reader(bytes);
    const capability = BY_CODE.get(code)?.decode(r);
    if (capability !== undefined && r.remaining === 0) return capability;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  return { kind: 'unknown', code, bytes: bytes.slice() };
}

function encodeOne(w: Writer, capability: Capability): void {
  if (capability.kind === 'unknown') {
    w.u8(capability.code).u8(capability.bytes.length).put(capability.bytes);
    return;
  }
  const codec = codecOf(capability);
  const value = new Writer(32);
  codec.encode(value, capability);
  w.u8(codec.code).u8(value.length).put(value.finish());
}

const codecOf = (capability: Known): CapabilityCodec<Capability> => CAPABILITIES[capability.kind];

/** A capability that says all by being there. */
function flag<K extends Known['kind']>(kind: K, code: number, name: string): CapabilityCodec<{ readonly kind: K }> {
  return {
    code,
    decode: () => ({ kind }),
    encode() {
      // no value
    },
    describe: () => name,
  };
}

function decodeGracefulRestart(r: Reader): GracefulRestartCapability {
  const first = r.u16();
  const families: { afi: number; safi: number; forwarding: boolean }[] = [];
  while (r.remaining > 0) families.push({ afi: r.u16(), safi: r.u8(), forwarding: (r.u8() & 0x80) !== 0 });
  return {
    kind: 'graceful-restart',
    restarting: (first & 0x8000) !== 0,
    notification: (first & 0x4000) !== 0,
    restartTimeSec: first & 0x0fff,
    families,
  };
}

function encodeGracefulRestart(w: Writer, c: GracefulRestartCapability): void {
  w.u16((c.restarting ? 0x8000 : 0) | (c.notification ? 0x4000 : 0) | c.restartTimeSec);
  for (const family of c.families)
    w.u16(family.afi)
      .u8(family.safi)
      .u8(family.forwarding ? 0x80 : 0);
}
