import type { IkeSuiteConfig, IpsecSuiteConfig } from './types.ts';

type IkeProposal = IkeSuiteConfig['proposals'][number];
type IpsecProposal = IpsecSuiteConfig['proposals'][number];

/** Graph's words for Diffie-Hellman groups and their IKEv2 transform ids (RFC 3526, 5114, 5903). */
export const DH_GROUPS = { dhGroup14: 14, dhGroup24: 24, dhGroup2048: 14, ecp256: 19, ecp384: 20 } as const;
export const PFS_GROUPS = { none: 'none', pfs14: 14, pfs24: 24, pfs2048: 14, ecp256: 19, ecp384: 20 } as const;

export const IKE_ENCRYPTIONS = ['aes128', 'aes192', 'aes256', 'gcmAes128', 'gcmAes256'] as const;
export const IKE_INTEGRITIES = ['sha256', 'sha384'] as const;
export const IPSEC_ENCRYPTIONS = ['gcmAes128', 'gcmAes192', 'gcmAes256'] as const;

export const IKE_SUITE_NAMES = ['mix1', 'mix2', 'mix3', 'mix4', 'mix5', 'mix6', 'mix7', 'mix8', 'default'] as const;
export const IPSEC_SUITE_NAMES = ['mix1', 'mix2', 'mix3', 'mix4', 'mix5', 'mix6', 'default'] as const;

/** Words Graph knows and tunwright does not speak, each with the reason and the way out. */
export const REFUSED_PFS: Readonly<Record<string, string>> = {
  pfs1: 'PFS1 is the 768-bit Diffie-Hellman group 1, which is broken in practice (RFC 8247): use ecp384, here and in Entra',
  pfs2: 'PFS2 is the 1024-bit Diffie-Hellman group 2, which is too weak (RFC 8247): use ecp384, here and in Entra',
  pfsmm: 'PFSMM names no group of its own, so the two ends could differ at the first rekey: name one, such as ecp384',
};
export const REFUSED_IPSEC_ENCRYPTION: Readonly<Record<string, string>> = {
  none: 'encryption "none" would send the traffic in clear through the Internet: use gcmAes256',
};

const ike = (
  encryption: IkeProposal['encryption'],
  integrity: IkeProposal['integrity'],
  group: keyof typeof DH_GROUPS,
): IkeProposal => ({ encryption, integrity, dhGroup: DH_GROUPS[group] });
const ipsec = (encryption: IpsecProposal['encryption'], pfs: keyof typeof PFS_GROUPS): IpsecProposal => ({
  encryption,
  pfsGroup: PFS_GROUPS[pfs],
});

/** `default` is Microsoft's default policy: https://learn.microsoft.com/entra/global-secure-access/reference-remote-network-configurations */
const IKE_SUITES: Readonly<Record<(typeof IKE_SUITE_NAMES)[number], readonly IkeProposal[]>> = {
  mix1: [ike('aes128', 'sha256', 'ecp256')],
  mix2: [ike('aes128', 'sha256', 'ecp384')],
  mix3: [ike('aes128', 'sha384', 'ecp256')],
  mix4: [ike('aes128', 'sha384', 'ecp384')],
  mix5: [ike('aes256', 'sha256', 'ecp256')],
  mix6: [ike('aes256', 'sha256', 'ecp384')],
  mix7: [ike('aes256', 'sha384', 'ecp256')],
  mix8: [ike('aes256', 'sha384', 'ecp384')],
  default: [
    ike('gcmAes256', 'sha384', 'dhGroup24'),
    ike('gcmAes128', 'sha256', 'dhGroup24'),
    ike('aes256', 'sha384', 'dhGroup24'),
    ike('aes128', 'sha256', 'dhGroup24'),
  ],
};

const IPSEC_SUITES: Readonly<Record<(typeof IPSEC_SUITE_NAMES)[number], readonly IpsecProposal[]>> = {
  mix1: [ipsec('gcmAes128', 'pfs14')],
  mix2: [ipsec('gcmAes128', 'ecp256')],
  mix3: [ipsec('gcmAes128', 'ecp384')],
  mix4: [ipsec('gcmAes256', 'pfs14')],
  mix5: [ipsec('gcmAes256', 'ecp256')],
  mix6: [ipsec('gcmAes256', 'ecp384')],
  default: [ipsec('gcmAes256', 'none'), ipsec('gcmAes192', 'none'), ipsec('gcmAes128', 'none')],
};

/** Phase 1 as written in the file: a name, or one exact combination in Graph's words. */
export type IkeSuiteText =
  | (typeof IKE_SUITE_NAMES)[number]
  | {
      readonly encryption: IkeProposal['encryption'];
      readonly integrity: IkeProposal['integrity'];
      readonly dh: keyof typeof DH_GROUPS;
    };
/** Phase 2; integrity always equals encryption. */
export type IpsecSuiteText =
  | (typeof IPSEC_SUITE_NAMES)[number]
  | { readonly encryption: IpsecProposal['encryption']; readonly pfs: keyof typeof PFS_GROUPS };

export function resolveIkeSuite(text: IkeSuiteText): IkeSuiteConfig {
  if (typeof text === 'string') return { name: text, proposals: IKE_SUITES[text] };
  const { encryption, integrity, dh } = text;
  return { name: `${encryption}-${integrity}-${dh}`, proposals: [ike(encryption, integrity, dh)] };
}

export function resolveIpsecSuite(text: IpsecSuiteText): IpsecSuiteConfig {
  if (typeof text === 'string') return { name: text, proposals: IPSEC_SUITES[text] };
  return { name: `${text.encryption}-${text.pfs}`, proposals: [ipsec(text.encryption, text.pfs)] };
}
