import type { IdentityConfig } from '../config/types.ts';
import { preferHybridEsp, preferHybridIke } from '../ike/index.ts';
import type { Identity, IkeConfig } from '../ike/types.ts';
import type { IpAddress } from '../lib/ip.ts';
import type { TunnelSpec } from './tunnel-spec.ts';

/**
 * One tunnel's IKE configuration. `auto` identities are addresses: ours as Microsoft registered it, the peer's endpoint.
 * Nothing promises that Microsoft's gateways call themselves by their endpoint, so that one is no condition.
 */
export function ikeConfig(spec: TunnelSpec, localAddress: IpAddress, exportKeys: boolean): IkeConfig {
  const { ike, ipsec } = spec.link;
  const publicIp = spec.wan.publicIp === 'auto' ? (spec.registeredIp ?? localAddress) : spec.wan.publicIp;
  return {
    role: 'initiator',
    localAddress,
    remoteAddress: spec.endpoint,
    localId: identity(ike.localId, publicIp),
    remoteId: ike.remoteId === 'any' ? 'any' : identity(ike.remoteId, spec.endpoint),
    remoteIdStrict: ike.remoteId !== 'auto',
    psk: spec.psk,
    // Microsoft accepts exactly the suite of the policy, so nothing else is offered unless it was asked for.
    ikeSuites: ike.pq === 'prefer' ? preferHybridIke(ike.suite.proposals) : ike.suite.proposals,
    espSuites: ike.pq === 'prefer' ? preferHybridEsp(ipsec.suite.proposals) : ipsec.suite.proposals,
    esn: ipsec.esn,
    ikeLifetimeMs: ike.lifetimeMs,
    childLifetimeMs: ipsec.lifetimeMs,
    ...(ipsec.lifetimeOctets !== undefined && { childLifetimeOctets: ipsec.lifetimeOctets }),
    ...(ipsec.lifetimePackets !== undefined && { childLifetimePackets: ipsec.lifetimePackets }),
    ...(ipsec.acceptPfs !== undefined && { acceptPfsGroups: ipsec.acceptPfs }),
    pfsProof: true,
    dpdIntervalMs: ike.dpdMs,
    fragmentSize: ike.fragmentSize,
    // Most firewalls on the way let UDP 500 and 4500 pass and nothing else: ESP on its own is a choice, not a finding.
    encapsulation: ike.encap === 'esp' ? 'auto' : 'udp',
    exportKeys,
  };
}

function identity(configured: IdentityConfig, auto: IpAddress): Identity {
  if (configured === 'auto' || configured === 'any')
    return { type: auto.family === 4 ? 'ipv4' : 'ipv6', address: auto };
  return configured;
}
