import type { Agent } from '../../agent/agent.ts';
import { type MrtRoute, tableDump } from '../../bgp/index.ts';
import { ip } from '../../lib/ip.ts';
import { elapsedMs } from '../../lib/time.ts';

/** What the BGP peers have announced, before policy, as a file of route collectors (RFC 6396). */
export function mrtView(agent: Agent): Iterable<Uint8Array> {
  const speakers = agent.routing.speakers();
  const collector = speakers[0]?.config.routerId ?? ip('0.0.0.0');
  const peers = speakers.map(({ config, routerId }) => ({
    address: config.peerAddress,
    routerId,
    asn: config.remoteAs,
  }));
  const places = new Map(speakers.map(({ key }, i) => [key, i]));
  return tableDump(seconds(agent.wall()), collector, peers, mrtRoutes(agent, places));
}

function* mrtRoutes(agent: Agent, places: ReadonlyMap<string, number>): Generator<MrtRoute> {
  for (const { prefix, by } of agent.routing.announced()) {
    const entries = [...by].flatMap(([key, { attributes, receivedAt }]) => {
      const peer = places.get(key);
      const age = elapsedMs(receivedAt, agent.now());
      return peer === undefined
        ? []
        : [{ peer, attributes, originatedAt: seconds(new Date(agent.wall().getTime() - age)) }];
    });
    if (entries.length > 0) yield { prefix, entries };
  }
}

const seconds = (time: Date): number => Math.floor(time.getTime() / 1000);
