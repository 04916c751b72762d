import { nobleCrypto } from '../../../src/crypto/noble.ts';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import { referenceEsp } from '../../../src/esp/reference.ts';
import { ReplayWindow } from '../../../src/esp/replay-window.ts';
import { espConformance } from './conformance.ts';

for (const provider of [nodeCrypto, nobleCrypto]) {
  espConformance(`the readable core on ${provider.name}`, {
    ...referenceEsp(provider),
    createReplayWindow: (size) => new ReplayWindow(size),
  });
}
