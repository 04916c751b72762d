import type { DhGroup, HashName } from '../crypto/types.ts';
import type { AdditionalKe, EsnPolicy, EspSuite, IkeSuite } from './types.ts';
import { EncryptionId, IntegrityId, KeyExchangeMethod, PrfId } from './wire/iana.ts';

/** The rows of Microsoft's "custom IKE policy" table, IKE MIX 1 to 8, by number. */
export const IKE_MIX: readonly IkeSuite[] = [
  { encryption: 'aes128', integrity: 'sha256', dhGroup: 19 },
  { encryption: 'aes128', integrity: 'sha256', dhGroup: 20 },
  { encryption: 'aes128', integrity: 'sha384', dhGroup: 19 },
  { encryption: 'aes128', integrity: 'sha384', dhGroup: 20 },
  { encryption: 'aes256', integrity: 'sha256', dhGroup: 19 },
  { encryption: 'aes256', integrity: 'sha256', dhGroup: 20 },
  { encryption: 'aes256', integrity: 'sha384', dhGroup: 19 },
  { encryption: 'aes256', integrity: 'sha384', dhGroup: 20 },
];

/** IPsec MIX 1 to 6. */
export const ESP_MIX: readonly EspSuite[] = [
  { encryption: 'gcmAes128', pfsGroup: 14 },
  { encryption: 'gcmAes128', pfsGroup: 19 },
  { encryption: 'gcmAes128', pfsGroup: 20 },
  { encryption: 'gcmAes256', pfsGroup: 14 },
  { encryption: 'gcmAes256', pfsGroup: 19 },
  { encryption: 'gcmAes256', pfsGroup: 20 },
];

/** What a device link with the `Default` policy accepts, strongest first. */
export const DEFAULT_IKE_SUITES: readonly IkeSuite[] = [
  { encryption: 'gcmAes256', integrity: 'sha384', dhGroup: 24 },
  { encryption: 'gcmAes128', integrity: 'sha256', dhGroup: 24 },
  { encryption: 'aes256', integrity: 'sha384', dhGroup: 24 },
  { encryption: 'aes128', integrity: 'sha256', dhGroup: 24 },
];

export const DEFAULT_ESP_SUITES: readonly EspSuite[] = [
  { encryption: 'gcmAes256', pfsGroup: 'none' },
  { encryption: 'gcmAes192', pfsGroup: 'none' },
  { encryption: 'gcmAes128', pfsGroup: 'none' },
];

interface EncryptionRow {
  readonly id: number;
  readonly name: string;
  readonly keyBits: number;
  /** Combined mode: no integrity transform, 4 octets of salt after each key (RFC 5282 §3.2, RFC 4106 §8.1). */
  readonly aead: boolean;
}

const CBC = { id: EncryptionId.AesCbc, name: 'AES_CBC', aead: false } as const;
const GCM = { id: EncryptionId.AesGcm16, name: 'AES_GCM_16', aead: true } as const;

const ENCRYPTION: Readonly<Record<IkeSuite['encryption'] | EspSuite['encryption'], EncryptionRow>> = {
  aes128: { ...CBC, keyBits: 128 },
  aes192: { ...CBC, keyBits: 192 },
  aes256: { ...CBC, keyBits: 256 },
  gcmAes128: { ...GCM, keyBits: 128 },
  gcmAes192: { ...GCM, keyBits: 192 },
  gcmAes256: { ...GCM, keyBits: 256 },
};

interface HashRow {
  readonly hash: HashName;
  /** Octets of PRF output and key, and of the integrity key. */
  readonly length: number;
  readonly prfId: number;
  readonly prfName: string;
  readonly integrityId: number;
  readonly integrityName: string;
}

/** The PRF always uses the hash of the integrity algorithm. RFC 4868 §2.7 for the numbers. */
const HASH: Readonly<Record<IkeSuite['integrity'], HashRow>> = {
  sha256: {
    hash: 'sha2-256',
    length: 32,
    prfId: PrfId.HmacSha2_256,
    prfName: 'PRF_HMAC_SHA2_256',
    integrityId: IntegrityId.HmacSha2_256_128,
    integrityName: 'HMAC_SHA2_256_128',
  },
  sha384: {
    hash: 'sha2-384',
    length: 48,
    prfId: PrfId.HmacSha2_384,
    prfName: 'PRF_HMAC_SHA2_384',
    integrityId: IntegrityId.HmacSha2_384_192,
    integrityName: 'HMAC_SHA2_384_192',
  },
};

export const DH_GROUP_NAMES: Readonly<Record<DhGroup, string>> = {
  14: 'MODP_2048',
  19: 'ECP_256',
  20: 'ECP_384',
  24: 'MODP_2048_256',
};

interface AdditionalKeRow {
  readonly method: number;
  readonly name: string;
}

const ADDITIONAL_KE: Readonly<Record<AdditionalKe, AdditionalKeRow>> = {
  mlKem768: { method: KeyExchangeMethod.MlKem768, name: 'ML_KEM_768' },
};

/** Undefined for a classic suite. */
export const additionalKeOf = ({ additionalKe }: IkeSuite | EspSuite): AdditionalKeRow | undefined =>
  additionalKe && ADDITIONAL_KE[additionalKe];

export const SALT_LENGTH = 4;

export const encryptionOf = (suite: IkeSuite | EspSuite): EncryptionRow => ENCRYPTION[suite.encryption];
export const hashOf = (suite: IkeSuite): HashRow => HASH[suite.integrity];
/** Octets of key material per direction: the key, and the salt of a combined mode. */
export const keyMaterialLength = ({ keyBits, aead }: EncryptionRow): number => keyBits / 8 + (aead ? SALT_LENGTH : 0);

/** Such as `AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384`; of a hybrid suite, `/ML_KEM_768` follows. */
export function describeIkeSuite(suite: IkeSuite): string {
  const { name, keyBits, aead } = encryptionOf(suite);
  const { integrityName, prfName } = hashOf(suite);
  const integrity = aead ? [] : [integrityName];
  return [`${name}_${keyBits}`, ...integrity, prfName, describeKeyExchanges(suite.dhGroup, suite)].join('/');
}

/** What a name says about sequence numbers: agreed on (boolean), or wanted (policy). */
type EsnWord = boolean | EsnPolicy;

/** Such as `AES_GCM_16_256`. The PFS group shows up only in a rekey, so it is not part of the name. */
export function describeEspSuite(suite: EspSuite, esn: EsnWord = 'offer'): string {
  const { name, keyBits } = encryptionOf(suite);
  return `${name}_${keyBits}${describeEsn(esn)}`;
}

/** As CREATE_CHILD_SA negotiates it, such as `AES_GCM_16_256/ECP_384`, or `AES_GCM_16_256 without PFS`. */
export function describeEspPfs(suite: EspSuite, esn: EsnWord = 'offer'): string {
  if (suite.pfsGroup === 'none') return `${describeEspSuite(suite, esn)} without PFS`;
  return `${describeEspSuite(suite)}/${describeKeyExchanges(suite.pfsGroup, suite)}${describeEsn(esn)}`;
}

/** Nothing for the usual 32 bits, nor where either will do. */
function describeEsn(esn: EsnWord): string {
  if (esn === true || esn === 'require') return '/ESN';
  return esn === 'off' ? '/NO_ESN' : '';
}

function describeKeyExchanges(group: DhGroup, suite: IkeSuite | EspSuite): string {
  const additional = additionalKeOf(suite);
  return additional === undefined ? DH_GROUP_NAMES[group] : `${DH_GROUP_NAMES[group]}/${additional.name}`;
}

/** Each suite with ML-KEM-768 first, then as it is: a peer that lacks it finds what it would have found without. */
export function preferHybridIke(suites: readonly IkeSuite[]): IkeSuite[] {
  return [...suites.map((suite): IkeSuite => ({ ...suite, additionalKe: 'mlKem768' })), ...suites];
}

/** The same for ESP; without PFS there is no key exchange to add one to. */
export function preferHybridEsp(suites: readonly EspSuite[]): EspSuite[] {
  const withPfs = suites.filter(({ pfsGroup }) => pfsGroup !== 'none');
  return [...withPfs.map((suite): EspSuite => ({ ...suite, additionalKe: 'mlKem768' })), ...suites];
}

/** The suites that need no additional key exchange, in their order. */
export const classic = <Suite extends IkeSuite | EspSuite>(suites: readonly Suite[]): Suite[] =>
  suites.filter(({ additionalKe }) => additionalKe === undefined);
