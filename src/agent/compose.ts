import type { BgpConfig } from '../bgp/types.ts';
import type { Config } from '../config/types.ts';
import { nobleCrypto } from '../crypto/noble.ts';
import { nodeCryptoWith, systemRandom } from '../crypto/node.ts';
import { FibPlan } from '../fib/plan.ts';
import { WATCHED_GROUPS } from '../fib/wire/watch.ts';
import { loadAddon } from '../io/addon.ts';
import { type Clock, systemClock } from '../io/clock.ts';
import { readSecretFile, StateDirectory } from '../io/files.ts';
import { createHttp, type HttpClient } from '../io/http.ts';
import { IcmpSocket } from '../io/icmp.ts';
import { searchNat } from '../io/nat-oracle.ts';
import type { NativeAddon } from '../io/native.ts';
import { NetlinkSocket } from '../io/netlink.ts';
import { Sysctl } from '../io/sysctl.ts';
import { dialTcp, listenTcp, type TcpListener, type TcpOptions } from '../io/tcp.ts';
import type { HttpRequest, HttpResponse } from '../lib/http.ts';
import { equalIp, type IpAddress } from '../lib/ip.ts';
import { Rtm } from '../lib/netlink.ts';
import type { Secret } from '../lib/secret.ts';
import { Agent } from './agent.ts';
import { Alarms } from './alarms.ts';
import type { BgpTransport, BgpTransportHandlers } from './bgp-peer.ts';
import { EventLog } from './event-log.ts';
import { FibApplier } from './fib-applier.ts';
import { keepHistory } from './history-journal.ts';
import { KernelSettings } from './kernel-settings.ts';
import { KeyExport } from './key-export.ts';
import { LeavingDevices } from './leaving-devices.ts';
import { OutsideAddresses } from './outside-addresses.ts';
import type { BgpAccept, Echo } from './path.ts';
import { Routing } from './routing.ts';
import { powerOnSelfTest } from './self-test.ts';
import { StateStore } from './state-store.ts';
import { OUTER_MARK } from './tunnel.ts';
import type { TunnelSpec } from './tunnel-spec.ts';
import { Wans } from './wans.ts';

const NETLINK_ROUTE = 0;
const BGP_PORT = 179;
/** IPv4 and TCP headers: BGP must not depend on path MTU discovery inside the tunnel. */
const TCP_IP_HEADER_OCTETS = 40;
const INTERFACE_MESSAGES: ReadonlySet<number> = new Set([Rtm.NewLink, Rtm.DelLink, Rtm.NewAddress, Rtm.DelAddress]);
/** Unanswered BGP data for so long means the path is gone, whatever the hold timer says (RFC 9687 in spirit). */
const BGP_USER_TIMEOUT_MS = 60_000;
const MAX_TTL = 255;
/** An answer that is later counts for nothing. */
const ECHO_TIMEOUT_MS = 2_000;
/** RFC 4594: network control. */
const TOS_NETWORK_CONTROL = 0xc0;

export interface AgentOptions {
  readonly config: Config;
  readonly stateDirectory: string;
  readonly version: string;
}

/**
 * Joins the agent to this machine. Rejects with a sentence when the machine lacks something no retry can bring, or does
 * its sums wrong.
 */
export async function createAgent({ config, stateDirectory, version }: AgentOptions): Promise<Agent> {
  const clock = systemClock;
  const addon = loadAddon();
  const crypto = config.crypto.provider === 'noble' ? nobleCrypto : nodeCryptoWith(addon.agreeEcp);
  const test = powerOnSelfTest(addon, crypto);
  if (!test.ok) throw new Error(test.error);
  const log = new EventLog(clock.wall);
  const alarms = new Alarms(clock.wall);
  const directory = await StateDirectory.open(stateDirectory);
  await keepHistory(directory.path, clock, log, alarms);
  const state = await StateStore.open(directory);
  const netlink = new NetlinkSocket(addon, {
    protocol: NETLINK_ROUTE,
    groups: WATCHED_GROUPS,
    onNotification: (message) => {
      applier.notified(message);
      if (INTERFACE_MESSAGES.has(message.type)) void wans.refresh();
    },
    onOverrun: () => applier.resync(),
  });
  const onReadError = (error: unknown): void =>
    log.add('error', 'interfaces-unreadable', `reading the interfaces through rtnetlink failed: ${String(error)}`);
  const wans = new Wans((request) => netlink.dump(request), clock, onReadError);
  const plan = new FibPlan();
  const applier = new FibApplier({
    netlink,
    clock,
    plan,
    prepare: () => routing.tellRoutes(),
    onBackground: (result) => routing.noteBackground(result),
  });
  const routing = new Routing({ clock, log, plan, applier });
  routing.recall(await applier.heldBack());
  const http = pinnedHttp(wans);
  const wanAddress = (wanInterface: string): IpAddress | undefined => wans.address(wanInterface);
  const outside = new OutsideAddresses({
    log,
    alarms,
    state,
    wanAddress,
    searchNat: (question, steps, onDone) => searchNat(addon, question, steps, onDone),
  });
  return new Agent(config, {
    addon,
    clock,
    log,
    alarms,
    routing,
    state,
    version,
    wans,
    crypto,
    random: systemRandom,
    kernel: new KernelSettings(await Sysctl.open(directory), alarms, log),
    keyExport: keyExport(config, (message) => {
      if (alarms.raise('key-export', 'warning', message)) log.add('warn', 'key-export', message);
    }),
    wanAddress,
    outside,
    leaving: new LeavingDevices(),
    readSecret: secretReader(log),
    http: http.exchange,
    openEcho: (spec, to, onAnswer) => openEcho(addon, clock, spec, to, onAnswer),
    dial: (spec, peer, handlers) => dialBgp(addon, spec, peer, handlers),
    listen: (spec, accept) => listenBgp(addon, spec, accept),
    release: () => {
      wans.close();
      netlink.close();
      http.close();
    },
  });
}

/** From our BGP address through the tunnel's device only: a session can never come up beside its tunnel. */
function dialBgp(addon: NativeAddon, spec: TunnelSpec, peer: BgpConfig, handlers: BgpTransportHandlers): BgpTransport {
  const to = { address: peer.peerAddress, port: BGP_PORT };
  return dialTcp(addon, to, { ...bgpSocket(spec), localAddress: peer.localAddress }, handlers);
}

/** Whatever address it is for: ours comes to the device only when the tunnel is up. */
function listenBgp(addon: NativeAddon, spec: TunnelSpec, accept: BgpAccept): Promise<TcpListener> {
  return listenTcp(addon, { ...bgpSocket(spec), port: BGP_PORT }, (connection, from) =>
    accept(from.address, connection),
  );
}

function bgpSocket({ interface: device, link, bgpPeers }: TunnelSpec): TcpOptions {
  const hops = link.bgp.ttlSecurityHops;
  return {
    device,
    maxSegment: link.mtu - TCP_IP_HEADER_OCTETS,
    userTimeoutMs: BGP_USER_TIMEOUT_MS,
    tos: TOS_NETWORK_CONTROL,
    ...(hops !== undefined && { ttl: MAX_TTL, minTtl: MAX_TTL + 1 - hops }),
    md5: bgpPeers.flatMap(({ address, password }) =>
      password === undefined ? [] : [{ peer: address, key: password.reveal() }],
    ),
  };
}

/** Through the tunnel's device only. The identifier tells our replies from those to other programs on it. */
function openEcho(addon: NativeAddon, clock: Clock, spec: TunnelSpec, to: IpAddress, onAnswer: () => void): Echo {
  const identifier = systemRandom.bytes(2).reduce((number, octet) => number * 256 + octet, 0);
  const options = {
    device: spec.interface,
    localAddress: spec.link.bgp.localIp,
    identifier,
    timeoutMs: ECHO_TIMEOUT_MS,
  };
  const socket = new IcmpSocket(addon, options, clock, ({ kind }) => {
    if (kind === 'reply') onAnswer();
  });
  return { request: () => void socket.echo(to), close: () => socket.close() };
}

/** Files are read again and again while one is missing; a careless mode is worth one warning. */
function secretReader(log: EventLog): (path: string) => Promise<Secret> {
  const warned = new Set<string>();
  return async (path) => {
    const { secret, warning } = await readSecretFile(path);
    if (warning !== undefined && !warned.has(warning)) log.add('warn', 'secret-file-mode', warning);
    if (warning !== undefined) warned.add(warning);
    return secret;
  };
}

function keyExport({ debug }: Config, onError: (message: string) => void): KeyExport | undefined {
  return debug.exportKeysDir === undefined ? undefined : new KeyExport(debug.exportKeysDir, onError);
}

/** One HTTP client for each WAN; a new address gets a new client. */
function pinnedHttp(wans: Wans): {
  readonly exchange: (wanInterface: string, request: HttpRequest) => Promise<HttpResponse>;
  readonly close: () => void;
} {
  const clients = new Map<string, { readonly from: IpAddress; readonly client: HttpClient }>();
  return {
    exchange: async (wanInterface, request) => {
      const localAddress = wans.address(wanInterface);
      if (localAddress === undefined) {
        const detail = `WAN interface ${wanInterface} has no IPv4 address; bring it up or correct wans[].interface`;
        return { kind: 'unreachable', code: 'ENETDOWN', detail };
      }
      const known = clients.get(wanInterface);
      if (known !== undefined && equalIp(known.from, localAddress)) return known.client(request);
      void known?.client.close();
      const client = createHttp({ device: wanInterface, mark: OUTER_MARK, localAddress });
      clients.set(wanInterface, { from: localAddress, client });
      return client(request);
    },
    close: () => {
      for (const { client } of clients.values()) void client.close();
    },
  };
}

/** Takes what a crashed daemon left out of the kernel and puts back the settings it changed. */
export async function cleanUp(stateDirectory: string): Promise<void> {
  const netlink = new NetlinkSocket(loadAddon(), { protocol: NETLINK_ROUTE });
  try {
    const applier = new FibApplier({
      netlink,
      clock: systemClock,
      plan: new FibPlan(),
      prepare: () => undefined,
      onBackground: () => undefined,
    });
    const { problems } = await applier.clear();
    const [problem] = problems;
    if (problem !== undefined) throw new Error(problem.message);
    await (await Sysctl.open(await StateDirectory.open(stateDirectory))).restore();
  } finally {
    netlink.close();
  }
}
