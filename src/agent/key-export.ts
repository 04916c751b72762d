import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ExportedIkeKeys } from '../ike/types.ts';
import { toHex } from '../lib/bytes.ts';
import type { EspSa, EspSaPair } from '../lib/esp-sa.ts';

const IKE_TABLE = 'ikev2_decryption_table';
const ESP_TABLE = 'esp_sa';

const IKE_CIPHERS: Readonly<Record<ExportedIkeKeys['suite']['encryption'], string>> = {
  aes128: 'AES-CBC-128 [RFC3602]',
  aes192: 'AES-CBC-192 [RFC3602]',
  aes256: 'AES-CBC-256 [RFC3602]',
  gcmAes128: 'AES-GCM-128 with 16 octet ICV [RFC5282]',
  gcmAes256: 'AES-GCM-256 with 16 octet ICV [RFC5282]',
};
const IKE_INTEGRITY = { sha256: 'HMAC_SHA2_256_128 [RFC4868]', sha384: 'HMAC_SHA2_384_192 [RFC4868]' } as const;
const IKE_NO_INTEGRITY = 'NONE [RFC4306]';

/**
 * A debugging tap: appends session keys to Wireshark's own tables, so that `tshark` can verify and decrypt a capture.
 * Exists only when the configuration names a directory and the daemon was started with `--allow-key-export`.
 */
export class KeyExport {
  readonly #directory: string;
  readonly #onError: (message: string) => void;

  /**
   * Throws with a sentence when the directory cannot be made. Later errors only go to `onError`: a full disk must not
   * take tunnels down for a capture's sake.
   */
  constructor(directory: string, onError: (message: string) => void) {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new Error(`debug.export_keys: cannot make the directory ${directory}: ${reasonOf(cause)}`, { cause });
    }
    this.#directory = directory;
    this.#onError = onError;
  }

  ike(keys: ExportedIkeKeys): void {
    const aead = keys.suite.encryption.startsWith('gcm');
    const integrity = aead ? IKE_NO_INTEGRITY : IKE_INTEGRITY[keys.suite.integrity];
    this.#append(IKE_TABLE, [
      keys.spiI,
      keys.spiR,
      keys.skEi,
      keys.skEr,
      quoted(IKE_CIPHERS[keys.suite.encryption]),
      keys.skAi,
      keys.skAr,
      quoted(integrity),
    ]);
  }

  child(pair: EspSaPair): void {
    for (const sa of [pair.inbound, pair.outbound]) this.#append(ESP_TABLE, espRow(sa, pair.remote.address.family));
  }

  #append(table: string, fields: readonly string[]): void {
    const path = join(this.#directory, table);
    try {
      appendFileSync(path, `${fields.join(',')}\n`, { mode: 0o600 });
    } catch (error) {
      this.#onError(`session keys are missing from ${path}: ${reasonOf(error)}; a capture cannot be decrypted fully`);
    }
  }
}

function espRow(sa: EspSa, family: 4 | 6): string[] {
  const spi = `0x${sa.spi.toString(16).padStart(8, '0')}`;
  const key = `0x${toHex(sa.key.reveal())}${toHex(sa.salt.reveal())}`;
  return [`IPv${family}`, '*', '*', spi, 'AES-GCM with 16 octet ICV [RFC4106]', key, 'NULL', ''].map(quoted);
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const quoted = (text: string): string => `"${text}"`;
