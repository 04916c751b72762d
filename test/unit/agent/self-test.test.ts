import { describe, expect, it } from 'vitest';
import { powerOnSelfTest } from '../../../src/agent/self-test.ts';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { loadAddon } from '../../../src/io/addon.ts';
import { ok } from '../../../src/lib/result.ts';

const addon = loadAddon();

describe('powerOnSelfTest', () => {
  it('passes with the packet path of this machine', () => {
    expect(powerOnSelfTest(addon, nodeCrypto)).toEqual(ok(undefined));
  });

  it('refuses a packet path that seals otherwise, and says what differs', () => {
    const result = powerOnSelfTest(
      {
        ...addon,
        espSeal: (...call) => addon.espSeal(...call).map((octet, i) => (i === 20 ? octet ^ 1 : octet)),
      },
      nodeCrypto,
    );
    expect(result.ok ? '' : result.error).toMatch(
      /^the cryptographic self-test failed: ESP AES-128-GCM-16 seal: reference gives .*, packet path gives .*: reinstall/,
    );
  });

  it('refuses cryptography with which IKE does not agree with itself', () => {
    const unequal = { ...nodeCrypto, equal: () => false };
    const result = powerOnSelfTest(addon, unequal);
    expect(result.ok ? '' : result.error).toContain('self-test failed: an IKE handshake in memory ended connecting');
  });

  it('refuses a packet path that throws', () => {
    const broken = { ...addon, espSeal: () => fail('EVP_EncryptInit_ex failed') };
    const result = powerOnSelfTest(broken, nodeCrypto);
    expect(result.ok ? '' : result.error).toContain('self-test failed: EVP_EncryptInit_ex failed');
  });
});

const fail = (message: string): never => {
  throw new Error(message);
};
