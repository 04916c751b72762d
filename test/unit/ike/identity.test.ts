import { expect, test } from 'vitest';
import { describeId } from '../../../src/ike/identity.ts';
import { IdType } from '../../../src/ike/wire/iana.ts';
import { utf8 } from '../../../src/lib/bytes.ts';

test.each([
  ['a key id', IdType.KeyId],
  ['a name', IdType.Fqdn],
  ['an address of no length that addresses have', IdType.Ipv4],
  ['a type that nobody knows', 201],
])('%s of 60,000 octets takes no more than a line', (_, idType) => {
  expect(describeId({ idType, data: new Uint8Array(60_000).fill(65) }).length).toBeLessThan(160);
});

test('what fits is shown whole', () => {
  expect(describeId({ idType: IdType.KeyId, data: Uint8Array.of(1, 0xab) })).toBe('01ab (ID_KEY_ID)');
  expect(describeId({ idType: IdType.Fqdn, data: utf8('branch.example') })).toBe('branch.example (ID_FQDN)');
});
