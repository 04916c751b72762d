export interface EcpGroup {
  /** OpenSSL's name. */
  readonly curve: 'prime256v1' | 'secp384r1';
  /** Length of a coordinate, and of the shared secret. */
  readonly fieldOctets: number;
  /** Order n of the base point; private values are uniform in [1, n-1]. */
  readonly order: bigint;
}

/** RFC 5903 §3.1 and §3.2. */
export const ECP_GROUPS: Readonly<Record<19 | 20, EcpGroup>> = {
  19: {
    curve: 'prime256v1',
    fieldOctets: 32,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  20: {
    curve: 'secp384r1',
    fieldOctets: 48,
    order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
};

/** First octet of an uncompressed point in SEC 1 form; RFC 5903 §7 sends x|y without it. */
export const UNCOMPRESSED_POINT = Uint8Array.of(4);
