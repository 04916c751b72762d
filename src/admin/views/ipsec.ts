import type { Agent } from '../../agent/agent.ts';
import type { Path } from '../../agent/path.ts';
import { childAgeMs, type InstalledChild } from '../../agent/tunnel.ts';
import type { SaView } from '../wire.ts';
import { hexSpi } from './units.ts';

/** Tunnel counters that are reasons for a drop, as /v1/ipsec/sas names them. */
const DROP = /^(tx|rx)_drop_/;

/** Per tunnel the SA that sends comes first; those after it only drain. */
export function saViews(agent: Agent): SaView[] {
  return agent.paths.flatMap((path) => path.tunnel.children.toReversed().map((child) => saView(agent, path, child)));
}

function saView(agent: Agent, path: Path, child: InstalledChild): SaView {
  const { pair, inbound, outbound } = child;
  const view = path.tunnel.ike?.child;
  const current = view?.spiIn === pair.inbound.spi ? view : undefined;
  const ageMs = childAgeMs(child, agent.now());
  return {
    tunnel: path.spec.name,
    interface: path.spec.interface,
    spi_in: hexSpi(pair.inbound.spi),
    spi_out: hexSpi(pair.outbound.spi),
    suite: child.suite,
    esn: pair.inbound.esn,
    replay_window: path.spec.link.ipsec.replayWindow,
    age_s: Math.floor(ageMs / 1000),
    rekey_in_s: Math.floor((current?.rekeyInMs ?? 0) / 1000),
    rekey_in_bytes: current?.rekeyInOctets ?? null,
    rekey_in_packets: current?.rekeyInPackets ?? null,
    bytes: { in: Number(inbound.bytes), out: Number(outbound.bytes) },
    packets: { in: Number(inbound.packets), out: Number(outbound.packets) },
    sequence: {
      in: Number(inbound.sequence),
      out: Number(outbound.sequence),
      missing: Number(inbound.missing),
      reordered: Number(inbound.reordered),
    },
    drops: drops(path, child),
    encap: pair.encapsulation,
    mtu: path.tunnel.mtu,
  };
}

/** The SA's own drops, and those of its tunnel that no SA can be named for. */
function drops(path: Path, child: InstalledChild): Record<string, number> {
  const counters = path.tunnel.device?.counters() ?? {};
  const ofTunnel = Object.entries(counters).filter(([name]) => DROP.test(name));
  const { drop_replay, drop_auth, drop_malformed, drop_policy } = child.inbound;
  const { drop_too_big, drop_queue } = child.outbound;
  return {
    replay: Number(drop_replay),
    auth: Number(drop_auth),
    malformed: Number(drop_malformed),
    policy: Number(drop_policy),
    too_big: Number(drop_too_big),
    queue: Number(drop_queue),
    ...Object.fromEntries(ofTunnel.map(([name, value]) => [name.replace('_drop', ''), Number(value)])),
  };
}
