import type { Random } from '../crypto/types.ts';
import { toHex } from '../lib/bytes.ts';
import type { Scrubber } from './scrubber.ts';
import type { AccessToken } from './token.ts';
import type { EntraConnector } from './types.ts';

/** What every procedure of one connector shares. */
export interface GraphSession {
  readonly connector: EntraConnector;
  readonly random: Random;
  readonly token: AccessToken;
  readonly scrubber: Scrubber;
}

/** A random GUID, RFC 9562 §5.4. */
export function randomGuid(random: Random): string {
  const bytes = random.bytes(16).slice();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = toHex(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
