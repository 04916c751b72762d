import { nobleCrypto } from '../../../src/crypto/noble.ts';
import { cryptoConformance } from './conformance.ts';

cryptoConformance('noble', nobleCrypto);
