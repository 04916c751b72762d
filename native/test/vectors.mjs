// Prints a file of test/vectors as C++ initialisers: of esp_test.cpp's Vector or of aes_gcm_test.cpp's.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const PRINTERS = {
  'sealed.json': (vectors) =>
    vectors.map(({ name, spi, sequence, esn, key, salt, innerPacket, wire }) => [
      ...[name, `${spi}u`, `${sequence}ull`, esn],
      ...[key, salt, innerPacket, wire],
    ]),
  'aes-gcm-esp.json': (vectors) =>
    vectors.map(({ name, key, nonce, aad, plaintext, sealed }) => [
      ...[name, key, nonce, aad, plaintext, sealed.slice(0, -32), sealed.slice(-32), true],
    ]),
  // ESP has nonces of 96 bits only.
  'aes_gcm_test.json': ({ testGroups }) =>
    testGroups
      .filter(({ ivSize, tagSize }) => ivSize === 96 && tagSize === 128)
      .flatMap(({ tests }) => tests)
      .map(({ tcId, comment, key, iv, aad, msg, ct, tag, result }) => [
        ...[`Wycheproof ${tcId} ${comment}`, key, iv, aad, msg, ct, tag, result === 'valid'],
      ]),
};
const NUMBER = /^\d+u(ll)?$/;

const [, , file] = process.argv;
for (const fields of PRINTERS[basename(file)](JSON.parse(readFileSync(file, 'utf8')))) {
  const words = fields.map((field) => (NUMBER.test(field) ? field : JSON.stringify(field)));
  console.log(`{${words.join(', ')}},`);
}
