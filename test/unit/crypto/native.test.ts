import { nodeCryptoWith } from '../../../src/crypto/node.ts';
import { loadAddon } from '../../../src/io/addon.ts';
import { cryptoConformance } from './conformance.ts';

cryptoConformance('node with the addon', nodeCryptoWith(loadAddon().agreeEcp));
