import { Writer } from '../lib/bytes.ts';
import { formatIp } from '../lib/ip.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { BgpConfig } from './types.ts';
import type { WireContext } from './wire/attributes.ts';
import { type Capability, describeCapability, type GracefulRestartCapability } from './wire/capabilities.ts';
import { Afi, CapabilityCode, ErrorCode, OpenSubcode, Safi } from './wire/iana.ts';
import { type ProtocolError, protocolError } from './wire/notification.ts';
import type { OpenMessage } from './wire/open.ts';

/** RFC 9234 §4.1: ours, and the only one that fits at the other end (§4.2). */
const ROLE = { provider: { own: 0, fits: 3 }, customer: { own: 3, fits: 0 } } as const;
/** We help peers that restart (RFC 4724 §4.2, also by NOTIFICATION: RFC 8538). Our own forwarding ends with the process. */
const HELPER = {
  kind: 'graceful-restart',
  restarting: false,
  notification: true,
  restartTimeSec: 0,
  families: [],
} as const satisfies GracefulRestartCapability;

/** What both OPENs together allow. */
export interface Negotiated {
  readonly peer: OpenMessage;
  /** 0: neither hold nor keepalive timer runs (RFC 4271 §4.2). */
  readonly holdTimeSec: number;
  readonly keepaliveSec: number;
  readonly context: WireContext;
}

/** What the peer said of its restarts. */
export function gracefulRestart({ peer }: Negotiated): GracefulRestartCapability | undefined {
  return peer.capabilities.find((capability) => capability.kind === 'graceful-restart');
}

export const hasCapability = ({ peer }: Negotiated, kind: Capability['kind']): boolean =>
  peer.capabilities.some((capability) => capability.kind === kind);

/** Slow peers (Azure sends every 60 s whatever was negotiated) set the rhythm; more often is of no use. */
const MAX_KEEPALIVE_SEC = 60;

export function localOpen(config: BgpConfig): OpenMessage {
  return {
    asn: config.localAs,
    holdTimeSec: config.holdTimeSec,
    routerId: config.routerId,
    capabilities: [
      { kind: 'multiprotocol', afi: Afi.Ipv4, safi: Safi.Unicast },
      { kind: 'route-refresh' },
      { kind: 'enhanced-route-refresh' },
      { kind: 'four-octet-as', asn: config.localAs },
      { kind: 'role', role: ROLE[config.role].own },
      HELPER,
    ],
  };
}

/** Checks the peer's OPEN against the configuration, RFC 4271 §6.2. */
export function negotiate(open: OpenMessage, config: BgpConfig): Result<Negotiated, ProtocolError> {
  const peer = `peer ${formatIp(config.peerAddress)}`;
  if (open.asn !== config.remoteAs) {
    return err(
      openError(
        OpenSubcode.BadPeerAs,
        `${peer} announced AS ${open.asn} in its OPEN, AS ${config.remoteAs} was configured: correct the peer's AS ` +
          'number here (links[].peers[].asn, or what Microsoft Entra reports) or on the peer',
      ),
    );
  }
  const routerId = formatIp(open.routerId);
  if (routerId === '0.0.0.0') {
    return err(openError(OpenSubcode.BadBgpIdentifier, `${peer} has BGP Identifier 0.0.0.0: set a router id there`));
  }
  // An identifier equal to ours is fine between different ASes, RFC 6286 §2.2.
  const families = open.capabilities.filter((capability) => capability.kind === 'multiprotocol');
  if (families.length > 0 && !families.some(isIpv4Unicast)) {
    return err(
      openError(
        OpenSubcode.UnsupportedCapability,
        `${peer} does not offer IPv4 unicast: activate that address family for this neighbor on the peer`,
        IPV4_UNICAST_CAPABILITY,
      ),
    );
  }
  const roles = open.capabilities.filter((capability) => capability.kind === 'role');
  const misfit = roles.find(({ role }) => role !== ROLE[config.role].fits);
  if (misfit !== undefined) {
    const detail =
      `${peer} takes ${describeCapability(misfit)} in its OPEN, we are its ${config.role}: ` +
      'correct the role of this neighbor on the peer, or remove it there';
    return err(openError(OpenSubcode.RoleMismatch, detail));
  }
  if (open.holdTimeSec !== 0 && open.holdTimeSec < config.minHoldTimeSec) {
    const detail =
      `${peer} proposes a hold time of ${open.holdTimeSec} s, at least ${config.minHoldTimeSec} s are asked for: ` +
      'correct it on the peer, or lower links[].bgp.min_hold';
    return err(openError(OpenSubcode.UnacceptableHoldTime, detail));
  }
  const holdTimeSec = Math.min(open.holdTimeSec, config.holdTimeSec);
  const fourOctets = open.capabilities.some((capability) => capability.kind === 'four-octet-as');
  return ok({
    peer: open,
    holdTimeSec,
    keepaliveSec: Math.min(MAX_KEEPALIVE_SEC, Math.floor(holdTimeSec / 3)),
    context: { asnOctets: fourOctets ? 4 : 2 },
  });
}

/** RFC 2918 §4: the peer may ask again only for what was announced to it. */
export const isIpv4Unicast = (family: { readonly afi: number; readonly safi: number }): boolean =>
  family.afi === Afi.Ipv4 && family.safi === Safi.Unicast;

/** RFC 5492 §5: the data of Unsupported Capability names the one that is required. */
const IPV4_UNICAST_CAPABILITY = new Writer(6)
  .u8(CapabilityCode.Multiprotocol)
  .u8(4)
  .u16(Afi.Ipv4)
  .u8(0)
  .u8(Safi.Unicast)
  .finish();

const openError = (subcode: number, detail: string, data?: Uint8Array): ProtocolError =>
  protocolError(ErrorCode.Open, subcode, detail, data);
