import { BgpPeer } from '../../agent/bgp-peer.ts';
import { CeaseSubcode, exportRoutes } from '../../bgp/index.ts';
import type { BgpConfig, BgpOutput } from '../../bgp/types.ts';
import { listenTcp, type TcpListener } from '../../io/tcp.ts';
import { equalIp, formatPrefix, hostPrefix, type IpAddress, ip, type Prefix, prefixOfKey } from '../../lib/ip.ts';
import { Secret } from '../../lib/secret.ts';
import type { KernelRoutes } from './kernel-routes.ts';
import type { ServeOrder } from './order.ts';
import { type ResponderDeps, ResponderTunnel } from './responder-tunnel.ts';

const BGP_PORT = 179;
const HOLD_SEC = 180;
const MAX_BRANCH_PREFIXES = 1_000;
const LIMIT_PAUSE_MS = 60_000;

export interface GatewayOptions {
  readonly device: string;
  readonly mtu: number;
  readonly endpoint: IpAddress;
  readonly asn: number;
  readonly announced: readonly Prefix[];
}

export interface GatewayDeps extends ResponderDeps {
  readonly routes: KernelRoutes;
}

interface Service {
  readonly peer: BgpPeer;
  readonly listener: TcpListener;
  readonly branchBgp: IpAddress;
  readonly learned: Map<string, Prefix>;
}

/**
 * One zone of Microsoft's side, for one branch at a time: answers its tunnel, waits for its BGP session, announces what
 * the gateway has, and sends the branch's networks back through the tunnel.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #deps: GatewayDeps;
  readonly #tunnel: ResponderTunnel;
  #service: Service | undefined;

  /** Throws `DataPlaneError` when the kernel refuses the device or the ports. */
  constructor(options: GatewayOptions, deps: GatewayDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#tunnel = new ResponderTunnel(options, deps, {
      onUp: () => this.#onTunnelUp(),
      onDown: (reason) => this.#onTunnelDown(reason),
    });
  }

  /** A device link names this gateway. An earlier link is withdrawn. */
  async serve(order: ServeOrder): Promise<void> {
    await this.withdraw();
    const [localBgp, branchBgp] = [ip(order.localBgp), ip(order.branchBgp)];
    const { routes, report } = this.#deps;
    await routes.addAddress(localBgp);
    await routes.reach([hostPrefix(branchBgp)]);
    const peer = this.#peer({ ...order, localBgp, branchBgp });
    const listener = await this.#listen(localBgp, branchBgp, peer);
    this.#service = { peer, listener, branchBgp, learned: new Map() };
    this.#tunnel.serve({ psk: Secret.fromText(order.psk), ikeSuites: order.ike, espSuites: order.esp });
    report('serving', `the branch at BGP address ${order.branchBgp}, AS ${order.branchAsn}`);
  }

  /** The link is gone: nobody is served any more. */
  async withdraw(): Promise<void> {
    const service = this.#service;
    this.#service = undefined;
    this.#tunnel.withdraw();
    if (service === undefined) return;
    service.listener.close();
    service.peer.close();
    await this.#deps.routes.forget([hostPrefix(service.branchBgp), ...service.learned.values()]);
  }

  async close(): Promise<void> {
    this.#service?.peer.stop(CeaseSubcode.AdministrativeShutdown, 'the gateway is stopping');
    await this.withdraw();
    await this.#tunnel.close();
  }

  #peer(order: { localBgp: IpAddress; branchBgp: IpAddress; branchAsn: number }): BgpPeer {
    const config: BgpConfig = {
      localAs: this.#options.asn,
      remoteAs: order.branchAsn,
      localAddress: order.localBgp,
      peerAddress: order.branchBgp,
      routerId: order.localBgp,
      holdTimeSec: HOLD_SEC,
      passive: true,
      signed: false,
      role: 'provider',
      prefixLimit: { prefixes: MAX_BRANCH_PREFIXES, beyond: 'restart', restartAfterMs: LIMIT_PAUSE_MS },
      minHoldTimeSec: 3,
      delayOpenMs: 0,
    };
    const { report } = this.#deps;
    const never = (): never => {
      throw new Error('a passive BGP speaker does not dial');
    };
    return new BgpPeer(config, this.#deps, never, {
      onUp: () => report('bgp-up', `AS ${order.branchAsn}`),
      onDown: (reason) => this.#onBgpDown(reason),
      onRoutes: (routes) => this.#onRoutes(routes),
      onLog: report,
    });
  }

  /** On the BGP address itself: what reaches it came through the tunnel. */
  #listen(localAddress: IpAddress, branch: IpAddress, peer: BgpPeer): Promise<TcpListener> {
    return listenTcp(this.#deps.addon, { localAddress, port: BGP_PORT }, (connection, from) =>
      equalIp(from.address, branch) ? peer.accept(connection) : undefined,
    );
  }

  #onTunnelUp(): void {
    const service = this.#service;
    if (service === undefined) return;
    service.peer.start();
    service.peer.advertise(exportRoutes(this.#options.announced));
  }

  #onTunnelDown(reason: string): void {
    this.#service?.peer.stop(CeaseSubcode.AdministrativeReset, `the tunnel is down: ${reason}`, true);
  }

  #onBgpDown(reason: string): void {
    this.#deps.report('bgp-down', reason);
    const lost = [...(this.#service?.learned.values() ?? [])];
    this.#service?.learned.clear();
    void this.#deps.routes.forget(lost);
  }

  #onRoutes({ announced, withdrawn }: Extract<BgpOutput, { kind: 'routes' }>): void {
    const learned = this.#service?.learned;
    if (learned === undefined) return;
    const gone = withdrawn.map(prefixOfKey).filter((prefix) => learned.delete(formatPrefix(prefix)));
    const reached = announced.flatMap(({ prefixes }) => prefixes.map(prefixOfKey));
    for (const prefix of reached) learned.set(formatPrefix(prefix), prefix);
    void this.#deps.routes.forget(gone);
    void this.#deps.routes.reach(reached);
    this.#deps.report('routes', `the branch has ${[...learned.keys()].join(' ') || 'no networks'}`);
  }
}
