// Prints test/vectors/esp/sealed.json as initialisers of esp_test.cpp's Vector.
import { readFileSync } from 'node:fs';

for (const { name, spi, sequence, esn, key, salt, innerPacket, wire } of JSON.parse(
  readFileSync(process.argv[2], 'utf8'),
)) {
  const texts = [key, salt, innerPacket, wire].map((text) => JSON.stringify(text)).join(', ');
  console.log(`{${JSON.stringify(name)}, ${spi}u, ${sequence}ull, ${esn}, ${texts}},`);
}
