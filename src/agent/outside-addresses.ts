import type { Config, WanConfig } from '../config/types.ts';
import type { PeerSighting } from '../ike/types.ts';
import type { NatHash, NatSearchStep } from '../io/nat-oracle.ts';
import type { Endpoint } from '../lib/esp-sa.ts';
import { equalIp, formatIp, type IpAddress, isPrivateIp } from '../lib/ip.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { elapsedMs, type Instant } from '../lib/time.ts';
import type { Alarms } from './alarms.ts';
import type { EventLog } from './event-log.ts';
import { natSearchSteps } from './nat-search.ts';
import type { StateStore } from './state-store.ts';
import type { TunnelSpec } from './tunnel-spec.ts';

/** Longer than it takes to notice that another tunnel is dead, which still seems to confirm an old address. */
const CONTRADICTED_MS = 30_000;

export interface OutsideAddressesDeps {
  readonly log: EventLog;
  readonly alarms: Alarms;
  readonly state: StateStore;
  /** Own address on a WAN interface, undefined while it has none. */
  readonly wanAddress: (wanInterface: string) => IpAddress | undefined;
  /** The NAT oracle; the returned function cancels. */
  readonly searchNat: (
    question: NatHash,
    steps: readonly NatSearchStep[],
    onDone: (found: Endpoint | undefined) => void,
  ) => () => void;
}

/** What the peer of one tunnel saw of us when the IKE SA began. */
export interface OutsideView {
  /** Undefined while the search goes on, and when it found nothing. */
  readonly endpoint: Endpoint | undefined;
  /** The port that we had sent from: another one has another mapping in the NAT. */
  readonly insidePort: number;
}

interface Finding extends OutsideView {
  readonly wan: string;
  readonly sighting: PeerSighting;
  readonly searching: boolean;
  readonly cancel: () => void;
}

/**
 * Our addresses as the IKE peers see them: told by authenticated peers, recovered by the NAT oracle, and remembered over
 * restarts. A WAN has one: while a living tunnel confirms it, another tunnel that sees another address changes nothing.
 */
export class OutsideAddresses {
  readonly #deps: OutsideAddressesDeps;
  /** By tunnel, as long as its CHILD_SAs live. */
  readonly #findings = new Map<string, Finding>();
  /** What was said last about each tunnel. */
  readonly #told = new Map<string, string>();
  /** By WAN: since when other tunnels see another address than the known one, and none sees that. */
  readonly #contradicted = new Map<string, Instant>();
  #wans: readonly WanConfig[] = [];

  constructor(deps: OutsideAddressesDeps) {
    this.#deps = deps;
  }

  /** Takes over a configuration; what was not found is looked for again where it now says. */
  use({ wans }: Config): void {
    this.#wans = wans;
    for (const [tunnel, { wan, sighting, searching, endpoint }] of this.#findings) {
      if (searching || endpoint === undefined) this.#look(tunnel, wan, sighting);
    }
    for (const { name } of wans) this.#judge(name);
  }

  /** An authenticated peer told how it saw us. */
  sighted({ name, wan }: TunnelSpec, sighting: PeerSighting): void {
    this.#look(name, wan.name, sighting);
  }

  /** The tunnel is down: what its peer saw may no longer hold. */
  lost({ name, wan }: TunnelSpec): void {
    this.#findings.get(name)?.cancel();
    if (this.#findings.delete(name)) this.#judge(wan.name);
  }

  /** Called about once a second: an address that nobody confirms any more gives way to the one that is seen. */
  tick(now: Instant): void {
    for (const { name } of this.#wans) {
      const [other] = this.#confirmed(name) ? [] : this.#living(name);
      const since = this.#contradicted.get(name) ?? now;
      if (other?.endpoint === undefined) this.#contradicted.delete(name);
      else if (elapsedMs(since, now) < CONTRADICTED_MS) this.#contradicted.set(name, since);
      else this.#remember(name, other.sighting.local.address, other.endpoint.address);
    }
  }

  of(tunnel: string): OutsideView | undefined {
    return this.#findings.get(tunnel);
  }

  /** The address that Microsoft sees behind this WAN, or a sentence about what to do. */
  publicAddress(wan: WanConfig): Result<IpAddress, string> {
    if (wan.publicIp !== 'auto') return ok(wan.publicIp);
    const own = this.#deps.wanAddress(wan.interface);
    if (own === undefined)
      return err(`WAN ${wan.name} has no IPv4 address yet, so there is nothing to register; waiting for it`);
    const known = this.#deps.state.outside(wan.name);
    if (known !== undefined && (isPrivateIp(own) || equalIp(known.inside, own))) return ok(known.outside);
    if (!isPrivateIp(own)) return ok(own);
    return err(
      `WAN ${wan.name} has the private address ${formatIp(own)} and nobody has told its public one yet: ` +
        'write it to wans[].public_ip (the status page of the router has it, or the Internet provider); later changes are then noticed by themselves with public_ip: auto',
    );
  }

  #look(tunnel: string, wan: string, sighting: PeerSighting): void {
    this.#findings.get(tunnel)?.cancel();
    const { local, translated, hashes, spiI, spiR } = sighting;
    const [hash] = hashes;
    const base = { wan, sighting, insidePort: local.port };
    const found = (endpoint: Endpoint | undefined): void => {
      this.#findings.set(tunnel, { ...base, endpoint, searching: false, cancel: nothing });
      this.#conclude(tunnel, wan, sighting, endpoint);
    };
    if (hash === undefined || !translated) return found(hash === undefined ? undefined : local);
    const { natSearch = 'known' } = this.#wanNamed(wan) ?? {};
    const steps = natSearchSteps(natSearch, this.#candidates(wan), local.port);
    const cancel = this.#deps.searchNat({ spiI, spiR, hash }, steps, found);
    this.#findings.set(tunnel, { ...base, endpoint: undefined, searching: true, cancel });
  }

  /** Of this WAN first; then those of the others, since a site may have moved from one line to another. */
  #candidates(wan: string): IpAddress[] {
    const ofWan = ({ name, publicIp, interface: device }: WanConfig): (IpAddress | undefined)[] => [
      publicIp === 'auto' ? undefined : publicIp,
      this.#deps.state.outside(name)?.outside,
      this.#deps.wanAddress(device),
    ];
    const ordered = [...this.#wans].sort((a, b) => Number(b.name === wan) - Number(a.name === wan));
    return ordered.flatMap(ofWan).filter((address) => address !== undefined);
  }

  #conclude(tunnel: string, wan: string, { local, translated }: PeerSighting, endpoint: Endpoint | undefined): void {
    this.#tell(tunnel, describe(local.port, translated, endpoint), endpoint === undefined);
    const isNews = endpoint !== undefined && !this.#confirmed(wan, endpoint.address);
    if (isNews) this.#remember(wan, local.address, endpoint.address);
    this.#judge(wan);
  }

  /** A living tunnel sees the address that the WAN is known by, and that is not `seen`. */
  #confirmed(wan: string, seen?: IpAddress): boolean {
    const known = this.#deps.state.outside(wan)?.outside;
    if (known === undefined || (seen !== undefined && equalIp(seen, known))) return false;
    return this.#living(wan).some(({ endpoint }) => endpoint !== undefined && equalIp(endpoint.address, known));
  }

  #remember(wan: string, inside: IpAddress, outside: IpAddress): void {
    const { state, log } = this.#deps;
    const known = state.outside(wan);
    if (known !== undefined && equalIp(known.outside, outside) && equalIp(known.inside, inside)) return;
    state.saveOutside(wan, { inside, outside }).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      log.add('error', 'state-unwritable', `the outside address of WAN ${wan} could not be stored: ${reason}`);
    });
  }

  #tell(tunnel: string, words: string, isTrouble: boolean): void {
    if (this.#told.get(tunnel) === words) return;
    this.#told.set(tunnel, words);
    this.#deps.log.add(isTrouble ? 'warn' : 'info', 'outside-address', words, tunnel);
  }

  /** Raises or clears what is wrong about the address of a WAN. */
  #judge(wan: string): void {
    const { alarms, log } = this.#deps;
    const code = `public-ip-${wan}`;
    const trouble = this.#trouble(wan);
    if (trouble === undefined) alarms.clear(code);
    else if (alarms.raise(code, 'warning', trouble)) log.add('warn', 'public-ip', trouble);
  }

  #trouble(wan: string): string | undefined {
    const addresses = this.#living(wan).flatMap(({ endpoint }) => (endpoint === undefined ? [] : [endpoint.address]));
    const seen = [...new Set(addresses.map(formatIp))];
    if (seen.length > 1)
      return (
        `the NAT in front of WAN ${wan} shows it under several addresses (${seen.join(', ')}), but a device link has one: ` +
        'ask for a fixed one at the router or at the Internet provider'
      );
    const written = this.#wanNamed(wan)?.publicIp ?? 'auto';
    const [address] = seen;
    if (written === 'auto' || address === undefined || address === formatIp(written)) return undefined;
    return (
      `wans[].public_ip of ${wan} is ${formatIp(written)}, but the gateways see ${address}: ` +
      'correct public_ip, or set it to auto'
    );
  }

  /** What is known from the tunnels that live. */
  #living(wan: string): Finding[] {
    return [...this.#findings.values()].filter((finding) => finding.wan === wan && finding.endpoint !== undefined);
  }

  #wanNamed(name: string): WanConfig | undefined {
    return this.#wans.find((wan) => wan.name === name);
  }
}

const nothing = (): void => undefined;

/** `translated`: the peer's hash did not fit our own address. */
function describe(insidePort: number, translated: boolean, endpoint: Endpoint | undefined): string {
  if (endpoint === undefined)
    return translated
      ? 'a NAT is between us and the gateway, and our outside address is none of those that were tried: ' +
          'write it to wans[].public_ip, or look further with nat_search: all'
      : 'the gateway does not tell how it sees us (no NAT_DETECTION_DESTINATION_IP in IKE_SA_INIT)';
  const seen = `the gateway sees us at ${formatEndpoint(endpoint)}`;
  if (!translated) return `${seen}: no NAT is between`;
  const port = endpoint.port === insidePort ? `keeps port ${insidePort}` : `rewrites port ${insidePort}`;
  return `${seen}, behind a NAT that ${port}`;
}

export const formatEndpoint = ({ address, port }: Endpoint): string => `${formatIp(address)}:${port}`;
