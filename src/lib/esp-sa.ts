import type { IpAddress } from './ip.ts';
import type { Secret } from './secret.ts';

/** An IPv4 or IPv6 transport address; `port` in host order. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/**
 * One ESP SA as key management hands it to a data plane (RFC 4303, AES-GCM of RFC 4106 with a 16-octet ICV).
 * The only thing that `ike`, `esp` and the native data plane share.
 */
export interface EspSa {
  /** 256 to 2^32-1; chosen by the receiver. */
  readonly spi: number;
  /** 16, 24 or 32 octets. */
  readonly key: Secret;
  /** 4 octets, the implicit part of the nonce. */
  readonly salt: Secret;
  /** RFC 4303 §2.2.1 extended sequence numbers. */
  readonly esn: boolean;
}

/** `udp`: RFC 3948 on port 4500. `esp`: IP protocol 50. */
export type Encapsulation = 'udp' | 'esp';

/** Both directions of a CHILD_SA in tunnel mode. */
export interface EspSaPair {
  readonly inbound: EspSa;
  readonly outbound: EspSa;
  readonly encapsulation: Encapsulation;
  /** Outer destination of what we send; the port matters for `udp` only. */
  readonly remote: Endpoint;
}
