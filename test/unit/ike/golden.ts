import { loadVectors } from '../load-vectors.ts';

/** One captured conversation between two strongSwan ends, with every intermediate key; all octets in hex. */
export interface GoldenConversation {
  readonly mix: number;
  readonly psk: string;
  readonly ike_sa_init_request: string;
  readonly ike_sa_init_response: string;
  readonly spi_i: string;
  readonly spi_r: string;
  readonly ni: string;
  readonly nr: string;
  readonly g_ir: string;
  readonly skeyseed: string;
  readonly sk: GoldenKeys;
  readonly messages: readonly GoldenMessage[];
  readonly child: readonly GoldenChild[];
  readonly id_i: string;
  readonly id_r: string;
  readonly auth_i: string;
  readonly auth_r: string;
  readonly ike_rekey: {
    readonly g_ir: string;
    readonly ni: string;
    readonly nr: string;
    readonly spi_i: string;
    readonly spi_r: string;
    readonly skeyseed: string;
    readonly sk: GoldenKeys;
  };
}

export type GoldenKeys = Readonly<Record<'d' | 'ai' | 'ar' | 'ei' | 'er' | 'pi' | 'pr', string>>;

export interface GoldenMessage {
  readonly exchange: number;
  readonly flags: number;
  readonly msgid: number;
  readonly wire: string;
  readonly first_payload: number;
  readonly plaintext: string;
}

export interface GoldenChild {
  readonly spi_i: string;
  readonly spi_r: string;
  readonly g_ir_child: string;
  /** Ni | Nr, 32 octets each. */
  readonly nonces: string;
  readonly key_i2r: string;
  readonly key_r2i: string;
}

/** MIX 1, 3, 6 and 8: both key sizes, both hashes, both curves. */
export const GOLDEN: readonly GoldenConversation[] = [1, 3, 6, 8].map((mix) =>
  loadVectors<GoldenConversation>(`ike/mix${mix}.json`),
);
