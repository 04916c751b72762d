import { describe, expect, it } from 'vitest';
import { powerOnSelfTest } from '../../../src/agent/self-test.ts';
import { loadAddon } from '../../../src/io/addon.ts';
import { ok } from '../../../src/lib/result.ts';

const addon = loadAddon();

describe('powerOnSelfTest', () => {
  it('passes with the packet path of this machine', () => {
    expect(powerOnSelfTest(addon)).toEqual(ok(undefined));
  });

  it('refuses a packet path that seals otherwise, and says what differs', () => {
    const result = powerOnSelfTest({
      espOpen: addon.espOpen,
      espSeal: (...call) => addon.espSeal(...call).map((octet, i) => (i === 20 ? octet ^ 1 : octet)),
    });
    expect(result.ok ? '' : result.error).toMatch(
      /^the cryptographic self-test failed: ESP AES-128-GCM-16 seal: reference gives .*, packet path gives .*: reinstall/,
    );
  });

  it('refuses a packet path that throws', () => {
    const broken = { espOpen: addon.espOpen, espSeal: () => fail('EVP_EncryptInit_ex failed') };
    const result = powerOnSelfTest(broken);
    expect(result.ok ? '' : result.error).toContain('self-test failed: EVP_EncryptInit_ex failed');
  });
});

const fail = (message: string): never => {
  throw new Error(message);
};
