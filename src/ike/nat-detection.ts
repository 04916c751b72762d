import type { CryptoProvider } from '../crypto/types.ts';
import { equalBytes, Writer } from '../lib/bytes.ts';
import type { Encapsulation, Endpoint } from '../lib/esp-sa.ts';
import type { IpAddress } from '../lib/ip.ts';
import type { IkeConfig, PeerSighting } from './types.ts';
import { NotifyType } from './wire/iana.ts';
import type { Payload } from './wire/message.ts';
import { type NotifyPayload, notify } from './wire/notify.ts';

/** Who is behind a NAT, RFC 7296 §2.23. */
export interface NatFinding {
  readonly local: boolean;
  readonly remote: boolean;
  /** The peer disguised its source on purpose, to have ESP in UDP without a NAT. */
  readonly remoteForced: boolean;
}

export interface SpiPair {
  readonly spiI: Uint8Array;
  /** Zero in the first request. */
  readonly spiR: Uint8Array;
}

/** SHA-1(SPIi | SPIr | IP | port), RFC 7296 §2.23. */
export function natDetectionHash(crypto: CryptoProvider, { spiI, spiR }: SpiPair, at: Endpoint): Uint8Array {
  const w = new Writer(34).put(spiI).put(spiR).put(at.address.bytes).u16(at.port);
  return crypto.hash('sha1', w.finish());
}

/**
 * The two notifies of an IKE_SA_INIT message sent from `local` to `remote`. With forced encapsulation the source hash
 * covers the unspecified address and port 0, so the peer must conclude that we are behind a NAT.
 */
export function natDetectionNotifies(
  crypto: CryptoProvider,
  spis: SpiPair,
  local: Endpoint,
  remote: Endpoint,
  encapsulation: IkeConfig['encapsulation'],
): NotifyPayload[] {
  const source = encapsulation === 'udp' ? disguise(local.address) : local;
  return [
    notify(NotifyType.NatDetectionSourceIp, natDetectionHash(crypto, spis, source)),
    notify(NotifyType.NatDetectionDestinationIp, natDetectionHash(crypto, spis, remote)),
  ];
}

/** Compares the peer's hashes with where its message came from and arrived. A peer that sends none has found no NAT. */
export function detectNat(
  crypto: CryptoProvider,
  spis: SpiPair,
  local: Endpoint,
  from: Endpoint,
  payloads: readonly Payload[],
): NatFinding {
  const sources = hashes(payloads, NotifyType.NatDetectionSourceIp);
  const destinations = hashes(payloads, NotifyType.NatDetectionDestinationIp);
  const covers = (candidates: readonly Uint8Array[], at: Endpoint): boolean => {
    const expected = natDetectionHash(crypto, spis, at);
    return candidates.some((candidate) => equalBytes(candidate, expected));
  };
  const remoteForced = covers(sources, disguise(from.address));
  return {
    local: destinations.length > 0 && !covers(destinations, local),
    remote: sources.length > 0 && !remoteForced && !covers(sources, from),
    remoteForced,
  };
}

/** What an authenticated IKE_SA_INIT response tells about our own outside address. */
export function sightingOf(
  { spiI, spiR }: SpiPair,
  local: Endpoint,
  nat: NatFinding,
  payloads: readonly Payload[],
): PeerSighting {
  const copies = hashes(payloads, NotifyType.NatDetectionDestinationIp).map((hash) => hash.slice());
  return { spiI, spiR, hashes: copies, local, translated: nat.local };
}

/** The one place that decides how ESP travels. */
export function chooseEncapsulation(wanted: IkeConfig['encapsulation'], nat: NatFinding): Encapsulation {
  return wanted === 'udp' || nat.local || nat.remote || nat.remoteForced ? 'udp' : 'esp';
}

const disguise = (address: IpAddress): Endpoint => ({
  address: { family: address.family, bytes: new Uint8Array(address.bytes.length) },
  port: 0,
});

function hashes(payloads: readonly Payload[], notifyType: number): Uint8Array[] {
  return payloads.flatMap((p) => (p.kind === 'notify' && p.notifyType === notifyType ? [p.data] : []));
}
