/**
 * The FIB applier on the real kernel of the namespace it is started in, driven over stdin: one JSON command per line,
 * one JSON answer per line. Background repairs are answers too: `{ background }`.
 */
import { createInterface } from 'node:readline';
import { FibApplier } from '../../../dist/agent/fib-applier.js';
import { FibPlan } from '../../../dist/fib/plan.js';
import { WATCHED_GROUPS } from '../../../dist/fib/wire/watch.js';
import { loadAddon } from '../../../dist/io/addon.js';
import { systemClock } from '../../../dist/io/clock.js';
import { readLinks } from '../../../dist/io/links.js';
import { NetlinkSocket } from '../../../dist/io/netlink.js';
import { formatIp, ip, prefix, prefixKey } from '../../../dist/lib/ip.js';

const NETLINK_ROUTE = 0;
const netlink = new NetlinkSocket(loadAddon(), {
  protocol: NETLINK_ROUTE,
  groups: WATCHED_GROUPS,
  onNotification: (message) => applier.notified(message),
  onOverrun: () => applier.resync(),
});
const plan = new FibPlan();
let learned = new Map();
const applier = new FibApplier({
  netlink,
  clock: systemClock,
  plan,
  prepare: tell,
  onBackground: (background) => answer({ background }),
});

const COMMANDS = {
  apply: async (command) => {
    learned = learnedOf(command);
    plan.setBase(baseOf(command, await indexes()));
    return applier.apply();
  },
  routes: (command) => {
    learned = learnedOf(command);
    return applier.routesChanged();
  },
  clear: () => applier.clear(),
  counters: () => applier.counters(),
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

/** The plan gets the routes of the last command, and loses all others. */
function tell() {
  for (const key of [...plan.keys()]) if (!learned.has(key)) plan.setPaths(key, [], false);
  for (const [key, { via, announced }] of learned) plan.setPaths(key, via, announced);
}

/**
 * `{ routes: { "52.96.0.0/14": ["tw0", "tw1"] }, announced: ["52.96.0.0/14"], many: [count, ["tw0", "tw1"]] }`; `many` are
 * /24 from 20.0.0.0 up.
 */
function learnedOf({ routes = {}, announced = [], many = [0, []] }) {
  const map = new Map();
  const [count, everywhere] = many;
  for (let i = 0; i < count; i++) {
    map.set(((20 << 24) + i * 256) * 64 + 24, { via: everywhere, announced: false });
  }
  for (const text of announced) map.set(prefixKey(prefix(text)), { via: [], announced: true });
  for (const [text, via] of Object.entries(routes)) {
    map.set(prefixKey(prefix(text)), { via, announced: announced.includes(text) });
  }
  return map;
}

/** `{ up: [...], down: [...], permits: [[source, use, destination]] }` of two zones. */
function baseOf({ up = [], down = [], permits = [] }, index) {
  const tunnel = (name, isUp) => ({
    interface: name,
    interfaceIndex: index.get(name) ?? 0,
    up: isUp,
    learns: true,
    returning: false,
    weight: 1,
    bgpPeers: [ip(`169.254.2${1 + Number(name.slice(2))}.2`)],
  });
  const tunnels = [...up.map((name) => tunnel(name, true)), ...down.map((name) => tunnel(name, false))];
  return {
    bgpLocalAddresses: tunnels.map((each) => ({ address: ip('169.254.21.1'), interface: each.interface })),
    tunnels,
    statics: [],
    resilience: { buckets: 1024, idleMs: 60_000, rebalanceMs: 0 },
    permits: permits.map(([source, use, destination]) => ({
      source: prefix(source),
      interface: undefined,
      destination: destination && prefix(destination),
      use,
    })),
  };
}
