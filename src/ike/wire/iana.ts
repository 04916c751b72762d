/** IANA "IKEv2 Parameters" numbers that this core speaks or names in messages. */

export const ExchangeType = {
  IkeSaInit: 34,
  IkeAuth: 35,
  CreateChildSa: 36,
  Informational: 37,
  IkeIntermediate: 43,
  IkeFollowupKe: 44,
} as const;

export const PayloadType = {
  None: 0,
  Sa: 33,
  KeyExchange: 34,
  IdInitiator: 35,
  IdResponder: 36,
  Auth: 39,
  Nonce: 40,
  Notify: 41,
  Delete: 42,
  VendorId: 43,
  TsInitiator: 44,
  TsResponder: 45,
  Sk: 46,
  Eap: 48,
  Skf: 53,
} as const;

/** RFC 7296 §3.3.1 and §3.10. */
export const ProtocolId = { None: 0, Ike: 1, Ah: 2, Esp: 3 } as const;

export const TransformType = { Encryption: 1, Prf: 2, Integrity: 3, DhGroup: 4, Esn: 5, AdditionalKe1: 6 } as const;
/** ADDKE1 to ADDKE7, RFC 9370 §2.2.1: transform ids are those of type 4. */
export const isAdditionalKe = (transformType: number): boolean => transformType >= 6 && transformType <= 12;

/** Of the methods of transform type 4 and ADDKE, the one that is no Diffie-Hellman group; draft-ietf-ipsecme-ikev2-mlkem. */
export const KeyExchangeMethod = { MlKem768: 36 } as const;

export const EncryptionId = { AesCbc: 12, AesGcm16: 20 } as const;
export const PrfId = { HmacSha2_256: 5, HmacSha2_384: 6 } as const;
export const IntegrityId = { None: 0, HmacSha2_256_128: 12, HmacSha2_384_192: 13 } as const;
export const EsnId = { NoEsn: 0, Esn: 1 } as const;

/** The only transform attribute of IKEv2, RFC 7296 §3.3.5. */
export const KEY_LENGTH_ATTRIBUTE = 14;

export const IdType = { Ipv4: 1, Fqdn: 2, Rfc822: 3, Ipv6: 5, KeyId: 11 } as const;

/** RFC 7296 §3.8. */
export const AuthMethod = { SharedKey: 2 } as const;

export const TsType = { Ipv4Range: 7, Ipv6Range: 8 } as const;

export const NotifyType = {
  UnsupportedCriticalPayload: 1,
  InvalidIkeSpi: 4,
  InvalidMajorVersion: 5,
  InvalidSyntax: 7,
  InvalidMessageId: 9,
  InvalidSpi: 11,
  NoProposalChosen: 14,
  InvalidKePayload: 17,
  AuthenticationFailed: 24,
  SinglePairRequired: 34,
  NoAdditionalSas: 35,
  InternalAddressFailure: 36,
  FailedCpRequired: 37,
  TsUnacceptable: 38,
  InvalidSelectors: 39,
  UnacceptableAddresses: 40,
  UnexpectedNatDetected: 41,
  UseAssignedHoA: 42,
  TemporaryFailure: 43,
  ChildSaNotFound: 44,
  InvalidGroupId: 45,
  AuthorizationFailed: 46,
  StateNotFound: 47,
  TsMaxQueue: 48,
  InitialContact: 16384,
  SetWindowSize: 16385,
  NatDetectionSourceIp: 16388,
  NatDetectionDestinationIp: 16389,
  Cookie: 16390,
  UseTransportMode: 16391,
  RekeySa: 16393,
  Redirect: 16407,
  Ikev2FragmentationSupported: 16430,
  IntermediateExchangeSupported: 16438,
  AdditionalKeyExchange: 16441,
} as const;

const NOTIFY_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(NotifyType).map(([name, value]) => [value, screamingSnake(name)]),
);

/** The RFC's name of a Notify Message Type, such as `NO_PROPOSAL_CHOSEN`, or `NOTIFY_<n>`. */
export function notifyName(notifyType: number): string {
  return NOTIFY_NAMES.get(notifyType) ?? `NOTIFY_${notifyType}`;
}

/** Types below 16384 report errors, RFC 7296 §3.10.1. */
export const isErrorNotify = (notifyType: number): boolean => notifyType < 16384;

function screamingSnake(camel: string): string {
  return camel.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toUpperCase();
}
