/** Numbers of the IANA "BGP Parameters", "BGP Capability Codes" and "Address Family Numbers" registries. */

export const BGP_VERSION = 4;
/** RFC 4271 §4.1; extended messages (RFC 8654) are never announced, so the peer may not send longer ones. */
export const MAX_MESSAGE_OCTETS = 4096;
export const HEADER_OCTETS = 19;
/** RFC 6793 §9: stands in for an AS number that does not fit two octets. */
export const AS_TRANS = 23456;

export const MessageType = { Open: 1, Update: 2, Notification: 3, Keepalive: 4, RouteRefresh: 5 } as const;

export const Afi = { Ipv4: 1, Ipv6: 2 } as const;
export const Safi = { Unicast: 1 } as const;

export const AttributeFlag = { Optional: 0x80, Transitive: 0x40, Partial: 0x20, ExtendedLength: 0x10 } as const;

export const CapabilityCode = {
  Multiprotocol: 1,
  RouteRefresh: 2,
  ExtendedMessage: 6,
  Role: 9,
  GracefulRestart: 64,
  FourOctetAs: 65,
  EnhancedRouteRefresh: 70,
} as const;

export const ErrorCode = {
  MessageHeader: 1,
  Open: 2,
  Update: 3,
  HoldTimerExpired: 4,
  FiniteStateMachine: 5,
  Cease: 6,
  RouteRefresh: 7,
} as const;

export const HeaderSubcode = { NotSynchronized: 1, BadLength: 2, BadType: 3 } as const;
export const OpenSubcode = {
  Unspecific: 0,
  UnsupportedVersion: 1,
  BadPeerAs: 2,
  BadBgpIdentifier: 3,
  UnsupportedOptionalParameter: 4,
  UnacceptableHoldTime: 6,
  UnsupportedCapability: 7,
  /** RFC 9234. */
  RoleMismatch: 11,
} as const;
export const UpdateSubcode = {
  MalformedAttributeList: 1,
  UnrecognizedWellKnown: 2,
  OptionalAttributeError: 9,
  InvalidNetworkField: 10,
} as const;
/** RFC 6608. */
export const FsmSubcode = { Unspecific: 0, InOpenSent: 1, InOpenConfirm: 2, InEstablished: 3 } as const;
/** RFC 7313 §3: the reserved octet of ROUTE-REFRESH. */
export const RefreshSubtype = { Request: 0, Begin: 1, End: 2 } as const;
/** RFC 4486. */
export const CeaseSubcode = {
  MaxPrefixes: 1,
  AdministrativeShutdown: 2,
  PeerDeconfigured: 3,
  AdministrativeReset: 4,
  ConnectionRejected: 5,
  OtherConfigurationChange: 6,
  ConnectionCollision: 7,
  OutOfResources: 8,
  /** RFC 8538. */
  HardReset: 9,
} as const;

interface ErrorName {
  readonly name: string;
  readonly subcodes: Readonly<Record<number, string>>;
}

const ERROR_NAMES: Readonly<Record<number, ErrorName>> = {
  1: {
    name: 'Message Header Error',
    subcodes: { 1: 'Connection Not Synchronized', 2: 'Bad Message Length', 3: 'Bad Message Type' },
  },
  2: {
    name: 'OPEN Message Error',
    subcodes: {
      1: 'Unsupported Version Number',
      2: 'Bad Peer AS',
      3: 'Bad BGP Identifier',
      4: 'Unsupported Optional Parameter',
      6: 'Unacceptable Hold Time',
      7: 'Unsupported Capability',
      11: 'Role Mismatch',
    },
  },
  3: {
    name: 'UPDATE Message Error',
    subcodes: {
      1: 'Malformed Attribute List',
      2: 'Unrecognized Well-known Attribute',
      3: 'Missing Well-known Attribute',
      4: 'Attribute Flags Error',
      5: 'Attribute Length Error',
      6: 'Invalid ORIGIN Attribute',
      8: 'Invalid NEXT_HOP Attribute',
      9: 'Optional Attribute Error',
      10: 'Invalid Network Field',
      11: 'Malformed AS_PATH',
    },
  },
  4: { name: 'Hold Timer Expired', subcodes: {} },
  5: {
    name: 'Finite State Machine Error',
    subcodes: {
      1: 'Unexpected Message in OpenSent',
      2: 'Unexpected Message in OpenConfirm',
      3: 'Unexpected Message in Established',
    },
  },
  6: {
    name: 'Cease',
    subcodes: {
      1: 'Maximum Number of Prefixes Reached',
      2: 'Administrative Shutdown',
      3: 'Peer De-configured',
      4: 'Administrative Reset',
      5: 'Connection Rejected',
      6: 'Other Configuration Change',
      7: 'Connection Collision Resolution',
      8: 'Out of Resources',
      9: 'Hard Reset',
      10: 'BFD Down',
    },
  },
  7: { name: 'ROUTE-REFRESH Message Error', subcodes: { 1: 'Invalid Message Length' } },
  8: { name: 'Send Hold Timer Expired', subcodes: {} },
};

/** `Cease/Administrative Shutdown`; numbers where a name is not known. */
export function errorName(code: number, subcode: number): string {
  const known = ERROR_NAMES[code];
  const name = known?.name ?? `error ${code}`;
  if (subcode === 0) return name;
  return `${name}/${known?.subcodes[subcode] ?? `subcode ${subcode}`}`;
}

/** `IPv4 unicast`, or the numbers of a family this speaker does not know. */
export function familyName(afi: number, safi: number): string {
  if (safi === Safi.Unicast && afi === Afi.Ipv4) return 'IPv4 unicast';
  if (safi === Safi.Unicast && afi === Afi.Ipv6) return 'IPv6 unicast';
  return `AFI ${afi} SAFI ${safi}`;
}
