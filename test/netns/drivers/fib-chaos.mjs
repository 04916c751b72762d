/**
 * Routing and the FIB applier on the real kernel of the namespace it is started in, with a clock that moves only when told
 * and a netlink socket that fails when told. One JSON command per line, one JSON answer per line: `{ result }`.
 */
import { createInterface } from 'node:readline';
import { EventLog } from '../../../dist/agent/event-log.js';
import { FibApplier } from '../../../dist/agent/fib-applier.js';
import { Routing } from '../../../dist/agent/routing.js';
import { FibPlan } from '../../../dist/fib/plan.js';
import { WATCHED_GROUPS } from '../../../dist/fib/wire/watch.js';
import { loadAddon } from '../../../dist/io/addon.js';
import { readLinks } from '../../../dist/io/links.js';
import { NetlinkSocket } from '../../../dist/io/netlink.js';
import { ip, prefix, prefixKey } from '../../../dist/lib/ip.js';

const NETLINK_ROUTE = 0;
const TUNNELS = 3;
/** The kernel tells of what others do within this. */
const NOTIFIED_MS = 5;

class VirtualClock {
  #now = 0;
  #wakes = [];
  now = () => this.#now;
  wall = () => new Date(this.#now);
  wakeAt = (at, fn) => {
    const wake = { at, fn };
    this.#wakes.push(wake);
    return () => {
      this.#wakes = this.#wakes.filter((other) => other !== wake);
    };
  };
  async advance(ms) {
    const end = this.#now + ms;
    for (;;) {
      await idle();
      const due = this.#wakes.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#wakes = this.#wakes.filter((wake) => wake !== due);
      this.#now = Math.max(this.#now, due.at);
      due.fn();
    }
    this.#now = end;
  }
}

const clock = new VirtualClock();
let inFlight = 0;
/** What becomes of the next operations: `throw` breaks the socket's call, anything else refuses each request with this code. */
let faults = [];

const socket = new NetlinkSocket(loadAddon(), {
  protocol: NETLINK_ROUTE,
  groups: WATCHED_GROUPS,
  onNotification: (message) => applier.notified(message),
  onOverrun: () => applier.resync(),
});
const netlink = {
  dumpEach: (request, begin) => operation(() => socket.dumpEach(request, begin)),
  batch: (requests) =>
    operation(
      () => socket.batch(requests),
      (code) => requests.map(() => ({ code, detail: '' })),
    ),
};
const plan = new FibPlan();
const applier = new FibApplier({
  netlink,
  clock,
  plan,
  prepare: () => routing.tellRoutes(),
  onBackground: (result) => routing.noteBackground(result),
});
const routing = new Routing({ clock, log: new EventLog(() => clock.wall()), plan, applier });
const links = await readLinks((request) => socket.dump(request));

const keyOf = (text) => prefixKey(prefix(text));
const permits = [{ source: prefix('10.1.0.0/16'), interface: undefined, destination: undefined, use: 'tunnels-only' }];
const resilience = { buckets: 128, idleMs: 60_000, rebalanceMs: 0 };
const base = {
  permits,
  statics: [],
  protected: [],
  allowDefaultRoute: false,
  resilience,
  importRules: new Map(),
  weights: new Map(),
};
routing.setPolicy(base);
for (let i = 0; i < TUNNELS; i++) {
  const bgp = { localIp: ip('169.254.21.1') };
  routing.addTunnel({ interface: `tw${i}`, bgpPeers: [{ address: ip(peerOf(i)) }], link: { bgp } });
  routing.deviceOpened(`tw${i}`, links.find(({ name }) => name === `tw${i}`).index);
  routing.addPeer(peerOf(i), `tw${i}`, {
    localAs: 65010,
    remoteAs: 65476,
    localAddress: bgp.localIp,
    peerAddress: ip(peerOf(i)),
    prefixLimit: { prefixes: 1_000 },
  });
}

const COMMANDS = {
  tunnel: ({ tunnel, up }) => void routing.setUp(`tw${tunnel}`, up),
  silent: ({ tunnel, silent }) => routing.setSilent(`tw${tunnel}`, silent),
  peerUp: ({ tunnel }) => routing.peerUp(peerOf(tunnel), ip(peerOf(tunnel))),
  peerDown: ({ tunnel }) => routing.peerDown(peerOf(tunnel)),
  update: ({ tunnel, announced, withdrawn }) =>
    routing.update(
      peerOf(tunnel),
      announced.map((text) => ({ prefixes: [keyOf(text)], attributes: attributesOf(tunnel) })),
      withdrawn.map(keyOf),
    ),
  endOfRib: ({ tunnel }) => routing.endOfRib(peerOf(tunnel)),
  faults: (command) => {
    faults = command.faults;
  },
  advance: async ({ ms }) => {
    await new Promise((resolve) => setTimeout(resolve, NOTIFIED_MS));
    await clock.advance(ms);
  },
  counters: () => routing.fibCounters(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const result = (await COMMANDS[command.do](command)) ?? null;
  process.stdout.write(`${JSON.stringify({ result })}\n`);
}
process.exit(0);

function peerOf(tunnel) {
  return `169.254.${21 + tunnel}.2`;
}

function attributesOf(tunnel) {
  return {
    origin: 'igp',
    asPath: [{ type: 'sequence', asns: [65476] }],
    nextHop: ip(peerOf(tunnel)),
    med: undefined,
    communities: [],
  };
}

async function operation(real, refused) {
  inFlight++;
  try {
    const fault = faults.shift();
    if (fault === 'throw') throw new Error('ENOBUFS: injected');
    if (fault !== undefined && refused !== undefined) return refused(fault);
    return await real();
  } finally {
    inFlight--;
  }
}

/** No request is under way, and nothing follows from the last answers. */
async function idle() {
  for (let quiet = 0; quiet < 3; ) {
    await new Promise((resolve) => setImmediate(resolve));
    quiet = inFlight === 0 ? quiet + 1 : 0;
  }
}
