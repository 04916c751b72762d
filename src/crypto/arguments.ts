/** Wrong lengths here are our bug, never the peer's: they throw. OpenSSL would take some of them silently. */

export function requireCbcArguments(key: Uint8Array, iv: Uint8Array, text: Uint8Array): void {
  requireAesKey(key);
  requireLength('a CBC initialisation vector', iv, 16);
  if (text.length % 16 !== 0)
    throw new RangeError(`CBC without padding takes a multiple of 16 octets, not ${text.length}: pad before`);
}

export function requireGcmArguments(key: Uint8Array, nonce: Uint8Array): void {
  requireAesKey(key);
  requireLength('a GCM nonce', nonce, 12);
}

function requireAesKey(key: Uint8Array): void {
  if (key.length !== 16 && key.length !== 24 && key.length !== 32)
    throw new RangeError(`an AES key has 16, 24 or 32 octets, not ${key.length}`);
}

function requireLength(what: string, octets: Uint8Array, length: number): void {
  if (octets.length !== length) throw new RangeError(`${what} has ${length} octets, not ${octets.length}`);
}
