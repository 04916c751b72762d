import type { Config, LinkConfig } from '../config/types.ts';
import type { Random } from '../crypto/types.ts';
import type { Clock } from '../io/clock.ts';
import type { HttpRequest, HttpResponse } from '../lib/http.ts';
import type { IpAddress } from '../lib/ip.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Secret } from '../lib/secret.ts';
import { after, type Instant } from '../lib/time.ts';
import type { EventLog } from './event-log.ts';
import type { OutsideAddresses } from './outside-addresses.ts';
import { RegisteredAddresses } from './registered-addresses.ts';
import { type Registered, Registrar } from './registrar.ts';
import { generatePsk, type StateStore } from './state-store.ts';
import { type HeldFacts, registeredPeers, type ZonePeer } from './tunnel-spec.ts';
import { type LinkFacts, wantedRemoteNetwork } from './wanted.ts';

/** How often files that could not be read and WANs without an address are looked at again. */
const RETRY_MS = 10_000;
/** What TCP-MD5 takes in Linux (TCP_MD5SIG_MAXKEYLEN). */
const MD5_PASSWORD_OCTETS = 80;

export interface PeerSourceDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EventLog;
  readonly state: StateStore;
  /** Rejects with a full sentence. */
  readonly readSecret: (path: string) => Promise<Secret>;
  readonly wanAddress: (wanInterface: string) => IpAddress | undefined;
  readonly outside: Pick<OutsideAddresses, 'publicAddress'>;
  /** One exchange through this WAN, never through a tunnel. */
  readonly http: (wanInterface: string, request: HttpRequest) => Promise<HttpResponse>;
}

export interface RegistrationView {
  readonly state: 'manual' | 'pending' | 'registered' | 'failed';
  readonly detail: string;
  readonly remoteNetworkId: string | undefined;
}

/**
 * Where the far ends come from: the configuration (`manage: manual`) or Microsoft Graph. With Graph the last answer is
 * used at once after a restart and verified in the background, so a branch comes up while Graph is away.
 */
export class PeerSource {
  readonly #deps: PeerSourceDeps;
  readonly #onPeers: (peers: readonly ZonePeer[]) => void;
  readonly #addresses: RegisteredAddresses;
  #config: Config | undefined;
  #registrar: Registrar | undefined;
  /** What keeps us from even asking, in one sentence. */
  #problem: string | undefined;
  #retryAt: Instant | undefined;
  /** Keys generated in this run, until the registration that uses them has been stored. */
  readonly #freshKeys = new Map<string, readonly Secret[]>();

  constructor(deps: PeerSourceDeps, onPeers: (peers: readonly ZonePeer[]) => void) {
    this.#deps = deps;
    this.#onPeers = onPeers;
    this.#addresses = new RegisteredAddresses(deps);
  }

  get view(): RegistrationView {
    const remoteNetworkId = this.#deps.state.registration?.remoteNetworkId;
    if (this.#problem !== undefined) return { state: 'failed', detail: this.#problem, remoteNetworkId };
    if (this.#config?.remoteNetwork.manage === 'manual') {
      return { state: 'manual', detail: 'far ends are written in the configuration', remoteNetworkId: undefined };
    }
    const view = this.#registrar?.view;
    if (view === undefined) return { state: 'pending', detail: 'not started', remoteNetworkId };
    const state = view.state === 'idle' ? 'pending' : view.state;
    return { state, detail: view.detail, remoteNetworkId: view.remoteNetworkId ?? remoteNetworkId };
  }

  use(config: Config): void {
    this.close();
    this.#config = config;
    void this.#begin(config);
  }

  /** Called about once a second: tries again what could not be had, and registers anew from a new public address. */
  tick(now: Instant): void {
    const config = this.#config;
    if (config === undefined) return;
    const due = this.#retryAt !== undefined && now >= this.#retryAt;
    if (!due && !this.#addresses.moved(config, now)) return;
    this.#retryAt = undefined;
    void this.#begin(config);
  }

  close(): void {
    this.#config = undefined;
    this.#registrar?.close();
    this.#registrar = undefined;
    this.#addresses.forget();
    this.#retryAt = undefined;
    this.#problem = undefined;
  }

  /** A newer configuration may have come while files were read: then this one's outcome no longer counts. */
  async #begin(config: Config): Promise<void> {
    let problem: string | undefined;
    try {
      const begun = await (config.remoteNetwork.manage === 'manual'
        ? this.#readManual(config)
        : this.#register(config));
      if (!begun.ok) problem = begun.error;
    } catch (error) {
      problem = sentence(error);
    }
    this.#note(config, problem);
  }

  #note(config: Config, problem: string | undefined): void {
    if (this.#config !== config) return;
    if (problem !== undefined && problem !== this.#problem) this.#deps.log.add('error', 'peers-unknown', problem);
    this.#problem = problem;
    this.#retryAt = problem === undefined ? undefined : after(this.#deps.clock.now(), RETRY_MS);
  }

  async #readManual(config: Config): Promise<Result<void, string>> {
    const peers: ZonePeer[] = [];
    for (const link of config.links) {
      for (const { zone, endpoint, asn, bgpIp, pskFile, bgpPasswordFile } of link.peers) {
        const psk = await this.#deps.readSecret(pskFile);
        const bgpPassword = bgpPasswordFile === undefined ? undefined : await this.#deps.readSecret(bgpPasswordFile);
        const octets = bgpPassword?.reveal().length ?? 0;
        if (octets > MD5_PASSWORD_OCTETS)
          return err(`${bgpPasswordFile}: expected a password of at most ${MD5_PASSWORD_OCTETS} octets, got ${octets}`);
        peers.push({ link, zone, endpoint, asn, bgpAddress: bgpIp, psk, bgpPassword });
      }
    }
    if (this.#config === config) this.#onPeers(peers);
    return ok(undefined);
  }

  async #register(config: Config): Promise<Result<void, string>> {
    const fileKeys = await this.#readPskFiles(config);
    this.#useLastKnown(config, fileKeys);
    const connector = config.connectors.find((candidate) => candidate.name === config.remoteNetwork.connector);
    if (connector?.credential.kind !== 'secret') {
      return err('remote_network.connector must name a connector of type entra-gsa with credential.secret_file');
    }
    const clientSecret = await this.#deps.readSecret(connector.credential.secretFile);
    const wanted = wantedRemoteNetwork(config, (link) => this.#linkFacts(config, link, fileKeys.get(link.name)));
    if (!wanted.ok || this.#config !== config) return wanted.ok ? ok(undefined) : wanted;
    this.#addresses.registering(config);
    const registeredIps = new Map(config.links.map((link) => [link.name, this.#addresses.beyondWan(config, link)]));
    this.#registrar?.close();
    this.#registrar = new Registrar(
      {
        name: connector.name,
        tenantId: connector.tenantId,
        clientId: connector.clientId,
        clientSecret,
        loginEndpoint: connector.endpoints.login,
        graphEndpoint: connector.endpoints.graph,
      },
      wanted.value,
      { ...this.#deps, http: (request) => this.#deps.http(this.#controlWan(config), request) },
      (registered) => void this.#onRegistered(config, registered, (link) => registeredIps.get(link.name)),
      (error) => this.#note(config, `the registration ended by an internal error: ${sentence(error)}`),
    );
    this.#registrar.start();
    return ok(undefined);
  }

  /** Keys of the links whose configuration names files. */
  async #readPskFiles(config: Config): Promise<ReadonlyMap<string, readonly Secret[]>> {
    const links = config.links.filter((link) => link.psk.source === 'file');
    const read = links.map(async (link): Promise<[string, Secret[]]> => {
      return [link.name, await Promise.all(link.psk.files.map(this.#deps.readSecret))];
    });
    return new Map(await Promise.all(read));
  }

  #linkFacts(config: Config, link: LinkConfig, fileKeys: readonly Secret[] | undefined): Result<LinkFacts, string> {
    const address = this.#addresses.of(config, link);
    if (!address.ok) return address;
    const publicIp = address.value;
    const count = link.redundancy === 'zone' ? 2 : 1;
    const psks = fileKeys ?? this.#deps.state.psks(link.name) ?? [];
    if (psks.length >= count) return ok({ publicIp, psks: psks.slice(0, count), psksAreFresh: false });
    const fresh = this.#freshKeys.get(link.name) ?? Array.from({ length: count }, () => generatePsk(this.#deps.random));
    this.#freshKeys.set(link.name, fresh);
    return ok({ publicIp, psks: fresh, psksAreFresh: true });
  }

  /** Keys first: whoever holds a registration must be able to prove itself to it. */
  async #onRegistered(
    config: Config,
    { remoteNetworkId, links, psks }: Registered,
    registeredIp: (link: LinkConfig) => IpAddress | undefined,
  ): Promise<void> {
    try {
      for (const { link, keys } of psks) {
        const generated = config.links.find((candidate) => candidate.name === link)?.psk.source === 'generated';
        if (generated) await this.#deps.state.savePsks(link, keys);
      }
      await this.#deps.state.saveRegistration({ remoteNetworkId, links });
      this.#freshKeys.clear();
    } catch (error) {
      this.#deps.log.add('error', 'state-unwritable', `the registration could not be stored: ${sentence(error)}`);
    }
    if (this.#config !== config) return;
    const factsOf = (link: LinkConfig): HeldFacts => ({
      psks: psks.find((row) => row.link === link.name)?.keys ?? [],
      registeredIp: registeredIp(link),
    });
    try {
      this.#onPeers(registeredPeers(config, links, factsOf));
    } catch (error) {
      this.#note(config, `Microsoft's answer cannot be used: ${sentence(error)}`);
    }
  }

  #useLastKnown(config: Config, fileKeys: ReadonlyMap<string, readonly Secret[]>): void {
    const { registration } = this.#deps.state;
    if (registration === undefined || this.#config !== config) return;
    const factsOf = (link: LinkConfig): HeldFacts => ({
      psks: fileKeys.get(link.name) ?? this.#deps.state.psks(link.name) ?? [],
      registeredIp: this.#addresses.beyondWan(config, link),
    });
    const peers = registeredPeers(config, registration.links, factsOf);
    if (peers.length === 0) return;
    this.#deps.log.add('info', 'entra-last-known', `using Microsoft's last known answer for ${peers.length} zone(s)`);
    this.#onPeers(peers);
  }

  /** The best WAN that has an address; the first one when none has. */
  #controlWan(config: Config): string {
    const byPriority = [...config.wans].sort((a, b) => a.priority - b.priority);
    const usable = byPriority.find((wan) => this.#deps.wanAddress(wan.interface) !== undefined);
    return (usable ?? byPriority[0])?.interface ?? '';
  }
}

const sentence = (error: unknown): string => (error instanceof Error ? error.message : String(error));
