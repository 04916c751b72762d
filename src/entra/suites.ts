/** Graph's words for phase 1 (`tunnelConfigurationIKEv2Custom`). */
export interface IkeSuiteNames {
  readonly ikeEncryption: 'aes128' | 'aes192' | 'aes256' | 'gcmAes128' | 'gcmAes256';
  readonly ikeIntegrity: 'sha256' | 'sha384' | 'gcmAes128' | 'gcmAes256';
  readonly dhGroup: 'dhGroup14' | 'dhGroup24' | 'dhGroup2048' | 'ecp256' | 'ecp384';
}

/** Graph's words for phase 2. `none` encryption is never sent. */
export interface IpsecSuiteNames {
  readonly ipSecEncryption: 'gcmAes128' | 'gcmAes192' | 'gcmAes256';
  readonly ipSecIntegrity: 'gcmAes128' | 'gcmAes192' | 'gcmAes256';
  readonly pfsGroup: 'none' | 'pfs14' | 'pfs24' | 'pfs2048' | 'ecp256' | 'ecp384';
}
