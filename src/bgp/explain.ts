import { Writer } from '../lib/bytes.ts';
import { formatIp, type IpAddress } from '../lib/ip.ts';
import type { BgpConfig } from './types.ts';
import { Afi, CeaseSubcode, ErrorCode, OpenSubcode, Safi } from './wire/iana.ts';
import {
  describeNotification,
  type NotificationMessage,
  type ProtocolError,
  protocolError,
} from './wire/notification.ts';

/** The two ends of a session, for sentences about it. */
export interface SessionEnds {
  readonly localAs: number;
  readonly localAddress: IpAddress;
  readonly peerAddress: IpAddress;
}

/** A session that the peer ended, with the remedy when the code tells one. */
export function explainReceived(n: NotificationMessage, ends: SessionEnds): string {
  const what = `peer ${formatIp(ends.peerAddress)} ended the session: ${describeNotification(n)}`;
  const hint = remedy(n, ends);
  return hint === undefined ? what : `${what}: ${hint}`;
}

/** TCP that never came up. `reason` is the shell's. */
export function explainUnreachable(reason: string, ends: SessionEnds & Pick<BgpConfig, 'signed'>): string {
  const password = ends.signed ? ', with the same TCP-MD5 password' : '';
  return (
    `cannot connect to ${formatIp(ends.peerAddress)} port 179: ${reason}: check that the tunnel is up, ` +
    `and that the peer has a session with ${formatIp(ends.localAddress)}${password}`
  );
}

/** TCP that ended without a NOTIFICATION. */
export function explainClosed(state: string, reason: string, ends: SessionEnds): string {
  const what = `peer ${formatIp(ends.peerAddress)} closed the connection in state ${state}: ${reason}`;
  if (state !== 'opensent') return what;
  return `${what}: it has probably no session configured for ${formatIp(ends.localAddress)}`;
}

export function explainHoldExpired(state: string, ends: SessionEnds): string {
  const peer = formatIp(ends.peerAddress);
  if (state === 'opensent') return `hold timer expired: ${peer} accepted the connection but sent no OPEN`;
  return `hold timer expired: nothing came from ${peer}: the tunnel or the peer is gone`;
}

/** RFC 9687: TCP took nothing of ours. */
export function explainSendHoldExpired(ends: SessionEnds): string {
  return `send hold timer expired: ${formatIp(ends.peerAddress)} has read nothing of ours for minutes: the peer hangs; look at it`;
}

type Limited = SessionEnds & Pick<BgpConfig, 'prefixLimit'>;

/** A table that comes near its limit, or goes beyond one that only warns. */
export function explainPrefixLimit(size: number, config: Limited): string {
  return (
    `peer ${formatIp(config.peerAddress)} announces ${size} prefixes, the limit is ${config.prefixLimit.prefixes}: ` +
    'raise links[].bgp.import.max_prefixes if that is right'
  );
}

/** RFC 4486 §4: the data of Cease/1 names the family and the limit. */
export function prefixLimitExceeded(config: Limited): ProtocolError {
  const { prefixes, beyond } = config.prefixLimit;
  const detail =
    `peer ${formatIp(config.peerAddress)} announced more than ${prefixes} prefixes: ` +
    `raise links[].bgp.import.max_prefixes if that is right${beyond === 'down' ? '; the session stays down' : ''}`;
  const data = new Writer(7).u16(Afi.Ipv4).u8(Safi.Unicast).u32(prefixes).finish();
  return protocolError(ErrorCode.Cease, CeaseSubcode.MaxPrefixes, detail, data);
}

function remedy(n: NotificationMessage, ends: SessionEnds): string | undefined {
  if (n.code === ErrorCode.Open) {
    if (n.subcode === OpenSubcode.BadPeerAs) {
      return `we announced AS ${ends.localAs}, the peer expects another: correct links[].bgp.asn or the peer`;
    }
    if (n.subcode === OpenSubcode.BadBgpIdentifier) return 'both ends use the same BGP Identifier';
    if (n.subcode === OpenSubcode.RoleMismatch) return 'we are its customer (RFC 9234): correct the role on the peer';
    if (n.subcode === OpenSubcode.UnacceptableHoldTime) return 'the peer wants a longer hold time: links[].bgp.hold';
  }
  if (n.code === ErrorCode.Cease) {
    if (n.subcode === CeaseSubcode.MaxPrefixes) return 'we advertise more prefixes than the peer accepts';
    if (n.subcode === CeaseSubcode.ConnectionRejected || n.subcode === CeaseSubcode.PeerDeconfigured) {
      return `the peer has no active session with ${formatIp(ends.localAddress)}`;
    }
  }
  return undefined;
}
