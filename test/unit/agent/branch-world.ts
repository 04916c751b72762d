import { Agent, type AgentDeps } from '../../../src/agent/agent.ts';
import { Alarms } from '../../../src/agent/alarms.ts';
import { BgpPeer, type BgpTransport, type BgpTransportHandlers } from '../../../src/agent/bgp-peer.ts';
import { EventLog } from '../../../src/agent/event-log.ts';
import { KernelSettings } from '../../../src/agent/kernel-settings.ts';
import { LeavingDevices } from '../../../src/agent/leaving-devices.ts';
import { OutsideAddresses } from '../../../src/agent/outside-addresses.ts';
import { Routing } from '../../../src/agent/routing.ts';
import { StateStore } from '../../../src/agent/state-store.ts';
import { exportRoutes } from '../../../src/bgp/index.ts';
import type { BgpConfig, BgpOutput } from '../../../src/bgp/types.ts';
import type { Config } from '../../../src/config/types.ts';
import { nodeCrypto } from '../../../src/crypto/node.ts';
import type { NatHash, NatSearchStep } from '../../../src/io/nat-oracle.ts';
import type { Endpoint } from '../../../src/lib/esp-sa.ts';
import { formatIp, formatKey, type IpAddress, ip, prefix } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { FakeAddon } from './fake-addon.ts';
import { FakeKernel } from './fake-kernel.ts';
import { FarEnds, PSK } from './far-ends.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryDocuments } from './memory-documents.ts';
import { routeLines } from './routing-world.ts';
import { connectPipe } from './tcp-pipe.ts';
import { branchConfig } from './zone-peers.ts';

/**
 * A whole agent between fakes: the packet path and the kernel only write down what they are asked, the far ends are real
 * IKE and BGP cores without a network. Time stands until `seconds`.
 */
export class BranchWorld {
  readonly clock = new ManualClock();
  /** Calls of the packet path and of sysctl, in order. */
  readonly calls: string[] = [];
  readonly addon = new FakeAddon(this.calls);
  readonly far = new FarEnds(this.addon, this.clock);
  readonly kernel = new FakeKernel();
  readonly log = new EventLog(() => this.clock.wall());
  readonly alarms = new Alarms(() => this.clock.wall());
  readonly routing = new Routing({ clock: this.clock, log: this.log, plan: this.kernel.plan, applier: this.kernel });
  readonly wans = new Map<string, IpAddress>([['eth0', ip('192.0.2.10')]]);
  /** Secrets by path; others cannot be read. */
  readonly secrets = new Map([
    ['/etc/tunwright/psk1', PSK],
    ['/etc/tunwright/psk2', PSK],
  ]);
  /** What the zones announce, by BGP address. */
  readonly announced = new Map([
    ['169.254.21.2', ['52.96.0.0/14', '20.20.32.0/19']],
    ['169.254.22.2', ['52.96.0.0/14']],
  ]);
  /** BGP addresses that refuse connections. */
  readonly deaf = new Set<string>();
  /** What the zones have been told of our side, in the order of arrival: `+10.1.20.0/24`, `-10.1.20.0/24`. */
  readonly told = new Map<string, string[]>();
  /** Tunnels whose far ends do not answer ICMP. */
  readonly silent = new Set<string>();
  /** BGP addresses that accept connections and say nothing. */
  readonly mute = new Set<string>();
  /** What `sysctl.set` waits for. */
  slowSysctl: Promise<void> = Promise.resolve();
  released = 0;
  /** What the NAT oracle answers, in no time. */
  oracle: (question: NatHash, steps: readonly NatSearchStep[]) => Endpoint | undefined = () => undefined;
  readonly #zones = new Map<string, BgpPeer>();
  #restore: () => Promise<void> = async () => void this.calls.push('sysctl restore');

  constructor() {
    this.kernel.prepare = () => this.routing.tellRoutes();
  }

  async agent(config: Config = branchConfig()): Promise<Agent> {
    return new Agent(config, await this.#deps());
  }

  /** What giving the settings back comes to. */
  restoreWith(restore: () => Promise<void>): void {
    this.#restore = restore;
  }

  /** Lets `count` seconds pass, and what is due happen. */
  async seconds(count: number): Promise<void> {
    await this.clock.advance(count * 1_000);
    await this.clock.advance(0);
  }

  /** Routes of the last pass, such as `52.96.0.0/14 via tw0 tw1`. */
  get routes(): string[] {
    const input = this.kernel.inputs.at(-1);
    return input === undefined ? [] : routeLines(input);
  }
  get upTunnels(): string[] {
    const tunnels = this.kernel.inputs.at(-1)?.tunnels ?? [];
    return tunnels
      .filter(({ up }) => up)
      .map((tunnel) => tunnel.interface)
      .sort();
  }
  /** Tunnels that learned routes may use. */
  get learning(): string[] {
    const tunnels = this.kernel.inputs.at(-1)?.tunnels ?? [];
    return tunnels
      .filter(({ learns }) => learns)
      .map((tunnel) => tunnel.interface)
      .sort();
  }
  get messages(): string[] {
    return this.log.after(0).map(({ kind, message }) => `${kind}: ${message}`);
  }

  async #deps(): Promise<AgentDeps> {
    const { addon, alarms, clock, log, routing } = this;
    const state = await StateStore.open(new MemoryDocuments());
    const wanAddress = (name: string) => this.wans.get(name);
    const sysctl = {
      set: async (key: string, value: string) => {
        await this.slowSysctl;
        this.calls.push(`sysctl ${key}=${value}`);
      },
      restore: () => this.#restore(),
    };
    return {
      addon: addon.asAddon,
      alarms,
      clock,
      crypto: nodeCrypto,
      openEcho: (spec, _, onAnswer) => ({
        request: () => {
          if (!this.silent.has(spec.interface)) onAnswer();
        },
        close: nothing,
      }),
      dial: (_, config, handlers) => this.#dial(config, handlers),
      listen: async () => ({ close: nothing }),
      http: async () => ({ kind: 'unreachable', code: 'ECONNREFUSED', detail: 'nobody answers here.' }),
      kernel: new KernelSettings(sysctl, alarms, log),
      keyExport: undefined,
      log,
      random: new SeededRandom(3),
      readSecret: async (path) => this.#read(path),
      release: () => {
        this.released++;
      },
      routing,
      leaving: new LeavingDevices(),
      outside: new OutsideAddresses({
        log,
        alarms,
        state,
        wanAddress,
        searchNat: (question, steps, onDone) => {
          queueMicrotask(() => onDone(this.oracle(question, steps)));
          return nothing;
        },
      }),
      state,
      version: '0.1.0',
      wanAddress,
      wans: { refresh: async () => undefined },
    };
  }

  #read(path: string): Secret {
    const text = this.secrets.get(path);
    if (text === undefined) throw new Error(`Cannot read ${path}: it does not exist.`);
    return Secret.fromText(text);
  }

  #dial(config: BgpConfig, handlers: BgpTransportHandlers): BgpTransport {
    const address = formatIp(config.peerAddress);
    if (this.deaf.has(address)) return connectPipe(handlers, undefined);
    if (this.mute.has(address))
      return connectPipe(handlers, () => ({ onData: nothing, onSent: nothing, onClosed: nothing }));
    return connectPipe(handlers, (far) => this.#zone(address, config).accept(far));
  }

  #zone(address: string, { localAs, remoteAs, localAddress, peerAddress, ...rest }: BgpConfig): BgpPeer {
    const known = this.#zones.get(address);
    if (known !== undefined) return known;
    const config: BgpConfig = {
      ...rest,
      localAs: remoteAs,
      remoteAs: localAs,
      role: 'provider',
      localAddress: peerAddress,
      peerAddress: localAddress,
      routerId: peerAddress,
      passive: true,
    };
    const never = (): never => {
      throw new Error('the zones do not dial');
    };
    const told: string[] = [];
    this.told.set(address, told);
    const onRoutes = ({ announced, withdrawn }: Extract<BgpOutput, { kind: 'routes' }>): void => {
      told.push(...announced.flatMap(({ prefixes }) => prefixes.map((key) => `+${formatKey(key)}`)));
      told.push(...withdrawn.map((key) => `-${formatKey(key)}`));
    };
    const events = { onUp: nothing, onDown: nothing, onRoutes, onLog: nothing };
    const zone = new BgpPeer(config, { clock: this.clock, random: new SeededRandom(5) }, never, events);
    zone.advertise(exportRoutes((this.announced.get(address) ?? []).map(prefix)));
    zone.start();
    this.#zones.set(address, zone);
    return zone;
  }
}

const nothing = (): void => undefined;
