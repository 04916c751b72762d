/**
 * The FIB applier on the real kernel of the namespace it is started in, driven over stdin: one JSON command per line,
 * one JSON answer per line. Background repairs are answers too: `{ background }`.
 */
import { createInterface } from 'node:readline';
import { FibApplier } from '../../../dist/agent/fib-applier.js';
import { formatObject } from '../../../dist/fib/format.js';
import { WATCHED_GROUPS } from '../../../dist/fib/wire/watch.js';
import { loadAddon } from '../../../dist/io/addon.js';
import { systemClock } from '../../../dist/io/clock.js';
import { readLinks } from '../../../dist/io/links.js';
import { NetlinkSocket } from '../../../dist/io/netlink.js';
import { formatIp, ip, prefix } from '../../../dist/lib/ip.js';

const NETLINK_ROUTE = 0;
const netlink = new NetlinkSocket(loadAddon(), {
  protocol: NETLINK_ROUTE,
  groups: WATCHED_GROUPS,
  onNotification: (message) => applier.notified(message),
  onOverrun: () => applier.resync(),
});
const applier = new FibApplier({ netlink, clock: systemClock, onBackground: (background) => answer({ background }) });

const COMMANDS = {
  apply: async (command) => applier.apply(inputOf(command, await indexes())),
  clear: () => applier.clear(),
  observe: async () => (await applier.observe()).map((object) => formatObject(object)),
  links: async () => {
    const links = await readLinks((request) => netlink.dump(request));
    return links.map((link) => ({
      ...link,
      addresses: link.addresses.map(formatIp),
      gateway: link.gateway && formatIp(link.gateway),
    }));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  answer({ result: await COMMANDS[command.do](command) });
}
netlink.close();
process.exit(0); // the applier's regular check would keep the process

function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function indexes() {
  const links = await readLinks((request) => netlink.dump(request));
  return new Map(links.map(({ name, index }) => [name, index]));
}

/**
 * `{ up: [...], down: [...], routes: { "52.96.0.0/14": ["tw0", "tw1"] }, announced: ["52.96.0.0/14"],
 * permits: [[source, use, destination]] }` of two zones.
 */
function inputOf({ up = [], down = [], routes = {}, announced = [], permits = [] }, index) {
  const tunnel = (name, isUp) => ({
    interface: name,
    interfaceIndex: index.get(name) ?? 0,
    up: isUp,
    bgpPeers: [ip(`169.254.2${1 + Number(name.slice(2))}.2`)],
  });
  const tunnels = [...up.map((name) => tunnel(name, true)), ...down.map((name) => tunnel(name, false))];
  return {
    bgpLocalAddresses: tunnels.map((each) => ({ address: ip('169.254.21.1'), interface: each.interface })),
    tunnels,
    routes: Object.entries(routes).map(([text, via]) => ({ prefix: prefix(text), via })),
    announced: announced.map(prefix),
    permits: permits.map(([source, use, destination]) => ({
      source: prefix(source),
      interface: undefined,
      destination: destination && prefix(destination),
      use,
    })),
  };
}
