import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/lib/secret.ts';

describe('Secret', () => {
  it('does not print itself, however it is asked', () => {
    const secret = Secret.fromText('hunter2');
    const nested = { psk: secret, list: [secret] };
    const printed = [
      `${secret}`,
      String(secret),
      JSON.stringify(nested),
      inspect(nested, { depth: 9, showHidden: true }),
      Object.values(secret).join(),
      JSON.stringify({ ...secret }),
      JSON.stringify(structuredClone({ ...secret })),
    ];
    const octets = 'hunter2'
      .split('')
      .map((char) => char.charCodeAt(0))
      .join();
    for (const text of printed) {
      expect(text).not.toContain('hunter2');
      expect(text.replace(/\s/g, '')).not.toContain(octets);
    }
    expect(JSON.stringify(nested)).toBe('{"psk":"[secret]","list":["[secret]"]}');
  });
  it('keeps a copy, of a Buffer too', () => {
    const read = Buffer.from('hunter2');
    const secret = new Secret(read);
    read.fill(0);
    expect(secret.revealText()).toBe('hunter2');
  });
  it('reveals what it was made from, as octets and as text', () => {
    expect(Secret.fromText('Ω').reveal()).toEqual(Uint8Array.of(0xce, 0xa9));
    expect(new Secret(Uint8Array.of(0x41)).revealText()).toBe('A');
  });
  it('keeps its own copy', () => {
    const octets = Uint8Array.of(1, 2, 3);
    const secret = new Secret(octets);
    octets.fill(0);
    expect(secret.reveal()).toEqual(Uint8Array.of(1, 2, 3));
  });
});
