import type { Config } from '../config/types.ts';
import type { Clock } from '../io/clock.ts';
import { formatIp, type IpAddress } from '../lib/ip.ts';
import { after, type Instant } from '../lib/time.ts';
import type { Alarms } from './alarms.ts';
import { type CaptureFile, type CaptureWish, startCapture } from './capture.ts';
import type { EventLog } from './event-log.ts';
import { FibAlarm } from './fib-alarm.ts';
import type { OutsideAddresses } from './outside-addresses.ts';
import { Path, type PathDeps } from './path.ts';
import { PeerSource, type PeerSourceDeps, type RegistrationView } from './peer-source.ts';
import type { Routing } from './routing.ts';
import { routingPolicy } from './routing-policy.ts';
import { sameSpec, type TunnelSpec, tunnelSpecs, type ZonePeer } from './tunnel-spec.ts';
import type { Wans } from './wans.ts';

const TICK_MS = 1_000;
/** How often IKE hears of traffic: half as long as it takes silence for a bad sign. */
const SAMPLE_MS = 250;
/** How long a stopping daemon lets BGP's last NOTIFICATION leave. */
const FAREWELL_MS = 300;
/** What a step of the stop may take before the next one begins: all of them together stay below 5 s. */
const STOP_STEP_MS = 2_000;

export interface AgentDeps extends PathDeps, PeerSourceDeps {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly alarms: Alarms;
  readonly routing: Routing;
  readonly version: string;
  readonly wans: Pick<Wans, 'refresh'>;
  readonly outside: OutsideAddresses;
  /** Lets go of sockets and timers after the last word. */
  readonly release: () => void;
}

/**
 * The daemon: learns Microsoft's half, keeps one path per zone, moves routes. Everything it shows is derived from
 * the paths, the routing and the event log when asked.
 */
export class Agent {
  readonly startedAt: Date;
  readonly #deps: AgentDeps;
  readonly #source: PeerSource;
  readonly #fibAlarm: FibAlarm;
  #config: Config;
  #peers: readonly ZonePeer[] = [];
  #paths: readonly Path[] = [];
  #wanAddresses = '';
  #cancelTick: (() => void) | undefined;
  #stopping: Promise<void> | undefined;

  constructor(config: Config, deps: AgentDeps) {
    this.#config = config;
    this.#deps = deps;
    this.startedAt = deps.clock.wall();
    this.#source = new PeerSource(deps, (peers) => this.#setPeers(peers));
    this.#fibAlarm = new FibAlarm(deps, () => deps.routing.fibCounters());
  }

  get config(): Config {
    return this.#config;
  }
  get paths(): readonly Path[] {
    return this.#paths;
  }
  get routing(): Routing {
    return this.#deps.routing;
  }
  get log(): EventLog {
    return this.#deps.log;
  }
  get alarms(): Alarms {
    return this.#deps.alarms;
  }
  get version(): string {
    return this.#deps.version;
  }
  get registration(): RegistrationView {
    return this.#source.view;
  }

  now(): Instant {
    return this.#deps.clock.now();
  }
  wall(): Date {
    return this.#deps.clock.wall();
  }
  /** Undefined: the tunnel has no device. Throws `DataPlaneError`. */
  capture({ tunnel }: Path, wish: CaptureWish): CaptureFile | undefined {
    const { device, spec } = tunnel;
    return device && startCapture(device, spec.interface, wish, this.#deps.clock);
  }
  wanAddress(wanInterface: string): IpAddress | undefined {
    return this.#deps.wanAddress(wanInterface);
  }
  get outside(): OutsideAddresses {
    return this.#deps.outside;
  }

  async start(): Promise<void> {
    await this.#deps.wans.refresh();
    if (await this.#adopt(this.#config)) this.#tick();
  }

  /** Takes over a checked configuration: what did not change keeps running untouched. The newest one counts. */
  async reload(config: Config): Promise<void> {
    const { crypto, debug } = this.#config;
    this.#config = config;
    if (!(await this.#adopt(config))) return;
    this.#deps.log.add('info', 'config-applied', 'configuration reloaded');
    if (crypto.provider !== config.crypto.provider || debug.exportKeysDir !== config.debug.exportKeysDir) {
      const message =
        'crypto.provider and debug.export_keys are read at the start only: restart tunwrightd to change them';
      this.#deps.log.add('warn', 'config-needs-restart', message);
    }
  }

  /**
   * Cease to the BGP peers, our objects out of the kernel, DELETE to the IKE peers, devices gone. Never rejects: a step
   * that fails or hangs is logged, and the next one follows within 5 s in all.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { routing, kernel, leaving, log, release } = this.#deps;
    this.#cancelTick?.();
    this.#source.close();
    for (const path of this.#paths) path.stopSessions('tunwright is stopping');
    await this.#farewell();
    const again = 'tunwrightd --cleanup does it again';
    await this.#finish('removing routes and rules', routing.clear(), again);
    for (const path of this.#paths) path.stopTunnel();
    await Promise.all([
      this.#finish('removing the devices', leaving.settled(), again),
      this.#finish('restoring kernel settings', kernel.restore(), again),
      this.#finish('writing the IKE history', log.close(), 'its last lines may be missing'),
    ]);
    release();
  }

  /** Resolves when `work` does, or with a word in the log when it fails or takes too long. `otherwise`: what that means. */
  async #finish(what: string, work: Promise<void>, otherwise: string): Promise<void> {
    const { clock, log } = this.#deps;
    const complain = (reason: string): void => log.add('error', 'stop-incomplete', `${what}: ${reason}; ${otherwise}`);
    let cancel = (): void => undefined;
    const tooLong = new Promise<void>((resolve) => {
      cancel = clock.wakeAt(after(clock.now(), STOP_STEP_MS), () => {
        complain(`not done after ${STOP_STEP_MS / 1000} s`);
        resolve();
      });
    });
    const done = work.catch((error: unknown) => complain(error instanceof Error ? error.message : String(error)));
    await Promise.race([done, tooLong]);
    cancel();
  }

  /** False when a stop or a newer configuration came meanwhile: then this one is not to be used any more. */
  async #adopt(config: Config): Promise<boolean> {
    await this.#deps.kernel.prepare(config);
    if (this.#stopping !== undefined || this.#config !== config) return false;
    this.#deps.outside.use(config);
    this.#setRoutingPolicy();
    this.#source.use(config);
    return true;
  }

  #setPeers(peers: readonly ZonePeer[]): void {
    this.#peers = peers;
    this.#setRoutingPolicy();
    this.#setPaths(tunnelSpecs(this.#config, peers));
  }

  #setRoutingPolicy(): void {
    this.#wanAddresses = this.#currentWanAddresses();
    this.#deps.routing.setPolicy(routingPolicy(this.#config, this.#peers, this.#deps.wanAddress));
  }

  #currentWanAddresses(): string {
    const addresses = this.#config.wans.map((wan) => this.#deps.wanAddress(wan.interface));
    return addresses.map((address) => (address === undefined ? 'none' : formatIp(address))).join(' ');
  }

  #setPaths(specs: readonly TunnelSpec[]): void {
    const kept = this.#paths.filter((path) => specs.some((spec) => sameSpec(spec, path.spec)));
    for (const path of this.#paths) if (!kept.includes(path)) this.#retire(path);
    this.#paths = specs.map((spec) => {
      const path = kept.find((candidate) => sameSpec(spec, candidate.spec));
      path?.advertise(spec.exports);
      return path ?? new Path(spec, this.#deps);
    });
    const now = this.now();
    for (const path of this.#paths) path.tick(now);
  }

  #retire(path: Path): void {
    path.stopSessions('the link was changed or removed');
    path.stopTunnel();
  }

  #tick(): void {
    const now = this.now();
    // no peer may teach us a route to our own address
    if (this.#currentWanAddresses() !== this.#wanAddresses) this.#setRoutingPolicy();
    this.#deps.outside.tick(now);
    this.#source.tick(now);
    for (const path of this.#paths) path.tick(now);
    this.#fibAlarm.tick(now);
    this.#cancelTick = this.#deps.clock.wakeAt(after(now, SAMPLE_MS), () => this.#sample(after(now, TICK_MS)));
  }

  /** Between two ticks. */
  #sample(nextTick: Instant): void {
    const now = this.now();
    if (now >= nextTick) return this.#tick();
    for (const path of this.#paths) path.sample();
    this.#cancelTick = this.#deps.clock.wakeAt(after(now, SAMPLE_MS), () => this.#sample(nextTick));
  }

  #farewell(): Promise<void> {
    const { clock } = this.#deps;
    if (this.#paths.every((path) => path.peers.every((peer) => peer.idle))) return Promise.resolve();
    return new Promise((resolve) => {
      const deadline = after(clock.now(), FAREWELL_MS);
      const check = (): void => {
        const idle = this.#paths.every((path) => path.peers.every((peer) => peer.idle));
        if (idle || clock.now() >= deadline) resolve();
        else clock.wakeAt(after(clock.now(), 10), check);
      };
      check();
    });
  }
}
