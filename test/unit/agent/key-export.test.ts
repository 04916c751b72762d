import { chmodSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { KeyExport } from '../../../src/agent/key-export.ts';
import type { ExportedIkeKeys } from '../../../src/ike/types.ts';
import type { EspSa } from '../../../src/lib/esp-sa.ts';
import { ip } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';

const KEYS: ExportedIkeKeys = {
  spiI: '0102030405060708',
  spiR: '1112131415161718',
  suite: { encryption: 'aes256', integrity: 'sha384', dhGroup: 20 },
  skEi: 'aa11',
  skEr: 'bb22',
  skAi: 'cc33',
  skAr: 'dd44',
};

describe('KeyExport', () => {
  it('writes IKE keys as a row of ikev2_decryption_table', () => {
    const { directory, keys } = setUp();
    keys.ike(KEYS);
    keys.ike({ ...KEYS, suite: { encryption: 'gcmAes128', integrity: 'sha256', dhGroup: 14 }, skAi: '', skAr: '' });
    expect(readFileSync(join(directory, 'ikev2_decryption_table'), 'utf8').split('\n')).toEqual([
      '0102030405060708,1112131415161718,aa11,bb22,"AES-CBC-256 [RFC3602]",cc33,dd44,"HMAC_SHA2_384_192 [RFC4868]"',
      '0102030405060708,1112131415161718,aa11,bb22,"AES-GCM-128 with 16 octet ICV [RFC5282]",,,"NONE [RFC4306]"',
      '',
    ]);
  });

  it('writes both directions of a CHILD_SA as rows of esp_sa, the salt after the key', () => {
    const { directory, keys } = setUp();
    const remote = { address: ip('198.51.100.20'), port: 4500 };
    keys.child({ inbound: espSa(0x1000, 1), outbound: espSa(0xc0ffee00, 2), encapsulation: 'udp', remote });
    expect(readFileSync(join(directory, 'esp_sa'), 'utf8').split('\n')).toEqual([
      `"IPv4","*","*","0x00001000","AES-GCM with 16 octet ICV [RFC4106]","0x${'01'.repeat(16)}0a0b0c0d","NULL",""`,
      `"IPv4","*","*","0xc0ffee00","AES-GCM with 16 octet ICV [RFC4106]","0x${'02'.repeat(16)}0a0b0c0d","NULL",""`,
      '',
    ]);
  });

  it('lets nobody but the owner read them', () => {
    const { directory, keys } = setUp();
    keys.ike(KEYS);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'ikev2_decryption_table')).mode & 0o777).toBe(0o600);
  });

  it('says which file is incomplete when the disk refuses, and does not throw', () => {
    const { directory, keys, errors } = setUp();
    mkdirSync(join(directory, 'ikev2_decryption_table'));
    keys.ike(KEYS);
    expect(errors).toEqual([
      expect.stringMatching(
        /^session keys are missing from .*ikev2_decryption_table: EISDIR.*cannot be decrypted fully$/,
      ),
    ]);
  });

  it('refuses a place where no directory can be, with the name of the setting', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'tw-keys-')), 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o400);
    expect(() => new KeyExport(join(file, 'keys'), fail)).toThrow(
      /^debug\.export_keys: cannot make the directory .*ENOTDIR/,
    );
  });
});

function setUp() {
  const directory = join(mkdtempSync(join(tmpdir(), 'tw-keys-')), 'keys');
  const errors: string[] = [];
  return { directory, errors, keys: new KeyExport(directory, (message) => errors.push(message)) };
}

const espSa = (spi: number, octet: number): EspSa => ({
  spi,
  key: new Secret(new Uint8Array(16).fill(octet)),
  salt: new Secret(Uint8Array.of(10, 11, 12, 13)),
  esn: true,
});

const fail = (message: string): never => {
  throw new Error(message);
};
