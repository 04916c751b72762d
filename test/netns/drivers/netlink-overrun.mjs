// Listens to IPv4 route changes, does not read while 60,000 come, and prints what it then hears of the flood and of one
// more change. The namespace needs nothing but its loopback device.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const native = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'native');
const addon = createRequire(import.meta.url)('node-gyp-build')(native);

const RTNLGRP_IPV4_ROUTE = 7;
const heard = { notifications: 0, overruns: 0 };
const socket = addon.openNetlink(0, [RTNLGRP_IPV4_ROUTE], (datagram) => {
  heard[datagram.length === 0 ? 'overruns' : 'notifications']++;
});
const routes = Array.from(
  { length: 60_000 },
  (_, i) => `route add 10.9.${i >> 8}.${i & 255}/32 dev lo table ${100 + (i >> 16)}`,
);
execFileSync('ip', ['-batch', '-'], { input: routes.join('\n') });

const flood = await settled();
heard.notifications = 0;
execFileSync('ip', ['route', 'del', '10.9.0.1/32', 'table', '100']);
const afterwards = await settled();
socket.close();
console.log(JSON.stringify({ flood, afterwards }));

/** What was heard, once nothing new came for a while. */
async function settled() {
  for (;;) {
    const before = JSON.stringify(heard);
    await wait(200);
    if (JSON.stringify(heard) === before && heard.notifications > 0) return { ...heard };
  }
}
