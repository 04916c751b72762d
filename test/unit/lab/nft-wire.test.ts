import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sourceNat } from '../../../src/lab/nat/nft-wire.ts';
import { toHex } from '../../../src/lib/bytes.ts';
import { ip, prefix } from '../../../src/lib/ip.ts';

const VECTOR: { readonly messages: readonly { readonly type: number; readonly hex: string }[] } = JSON.parse(
  readFileSync(new URL('../../vectors/lab/nft-source-nat.json', import.meta.url), 'utf8'),
);
const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;

describe('source NAT', () => {
  const nat = { table: 'lab-nat', chain: 'postrouting', inside: prefix('192.168.1.0/24'), outside: ip('203.0.113.10') };

  it('is octet for octet what nft sends for the same rule', () => {
    const { begin, messages, end } = sourceNat(nat);
    const sent = [begin, ...messages, end].map(({ type, payload }) => ({ type, hex: toHex(payload) }));
    expect(sent).toEqual(VECTOR.messages);
  });

  it('creates table and chain and appends the rule', () => {
    const flags = sourceNat(nat).messages.map((message) => message.flags);
    expect(flags).toEqual([NLM_F_CREATE, NLM_F_CREATE, NLM_F_CREATE | NLM_F_APPEND]);
  });

  it.each(['0.0.0.0/0', '192.168.0.0/20'])('refuses %s, which it could not match by whole octets', (inside) => {
    expect(() => sourceNat({ ...nat, inside: prefix(inside) })).toThrow('expected a prefix of 8, 16, 24 or 32 bits');
  });
});
