import { Reader, Writer } from '../../lib/bytes.ts';
import { type IpAddress, ipFromBytes } from '../../lib/ip.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { type Capability, decodeCapabilities, encodeCapabilities } from './capabilities.ts';
import { AS_TRANS, BGP_VERSION, ErrorCode, OpenSubcode } from './iana.ts';
import { type ProtocolError, protocolError } from './notification.ts';

/** RFC 4271 §4.2. */
export interface OpenMessage {
  /** The real one: capability 65 when present, else the two-octet field. */
  readonly asn: number;
  /** 0 or 3 to 65535. */
  readonly holdTimeSec: number;
  /** BGP Identifier. */
  readonly routerId: IpAddress;
  readonly capabilities: readonly Capability[];
}

const PARAMETER_CAPABILITIES = 2;
/** RFC 9072 §2: marks both a length octet and a parameter type of the extended form. */
const EXTENDED = 255;

/**
 * The body after the header. Throws `WireError` when lengths do not fit; the caller answers that with OPEN error 0.
 * Order of checks is RFC 4271 §6.2: version before anything whose layout depends on it.
 */
export function decodeOpen(r: Reader): Result<OpenMessage, ProtocolError> {
  const version = r.u8();
  if (version !== BGP_VERSION) return err(unsupportedVersion(version));
  const shortAsn = r.u16();
  const holdTimeSec = r.u16();
  const routerId = ipFromBytes(r.take(4));
  const capabilities = decodeParameters(r);
  if (!capabilities.ok) return capabilities;
  if (holdTimeSec === 1 || holdTimeSec === 2) {
    return err(openError(OpenSubcode.UnacceptableHoldTime, `hold time ${holdTimeSec} s; 0 or at least 3 is allowed`));
  }
  const asn = capabilities.value.find((capability) => capability.kind === 'four-octet-as')?.asn ?? shortAsn;
  return ok({ asn, holdTimeSec, routerId, capabilities: capabilities.value });
}

export function encodeOpen(w: Writer, open: OpenMessage): void {
  w.u8(BGP_VERSION)
    .u16(open.asn > 0xffff ? AS_TRANS : open.asn)
    .u16(open.holdTimeSec)
    .put(open.routerId.bytes);
  const value = new Writer();
  encodeCapabilities(value, open.capabilities);
  if (value.length === 0) w.u8(0);
  else if (value.length <= 253)
    w.u8(value.length + 2)
      .u8(PARAMETER_CAPABILITIES)
      .u8(value.length)
      .put(value.finish());
  else {
    w.u8(EXTENDED)
      .u8(EXTENDED)
      .u16(value.length + 3);
    w.u8(PARAMETER_CAPABILITIES).u16(value.length).put(value.finish());
  }
}

/** RFC 5492 capabilities of all parameters together, in the short or the extended (RFC 9072) layout. */
function decodeParameters(r: Reader): Result<Capability[], ProtocolError> {
  const length = r.u8();
  const start = r.position;
  const body = r.rest();
  const extended = length === EXTENDED && body[0] === EXTENDED;
  const parameters = extended ? new Reader(body.subarray(1), start + 1) : new Reader(body, start);
  const total = extended ? parameters.u16() : length;
  if (total !== parameters.remaining) throw parameters.error('parameters-length');
  const capabilities: Capability[] = [];
  while (parameters.remaining > 0) {
    const type = parameters.u8();
    const value = parameters.sub(extended ? parameters.u16() : parameters.u8());
    if (type !== PARAMETER_CAPABILITIES) {
      return err(openError(OpenSubcode.UnsupportedOptionalParameter, `optional parameter ${type} is not supported`));
    }
    capabilities.push(...decodeCapabilities(value));
  }
  return ok(capabilities);
}

const openError = (subcode: number, detail: string, data?: Uint8Array): ProtocolError =>
  protocolError(ErrorCode.Open, subcode, detail, data);

const unsupportedVersion = (version: number): ProtocolError =>
  openError(
    OpenSubcode.UnsupportedVersion,
    `BGP version ${version}; this speaker knows version ${BGP_VERSION} only`,
    new Writer(2).u16(BGP_VERSION).finish(),
  );
