// A responder's data plane whose remote end moves: prints, as JSON, which port each ESP packet went to and its sequence
// number. Runs in a network namespace of its own, where 127.0.0.1 is both ends.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'native');
const addon = createRequire(import.meta.url)('node-gyp-build')(native);
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const PORTS = [7001, 7002];

const ip = (words) => execFileSync('ip', words.split(' '));
// A device that gets carrier would greet its IPv6 neighbours.
execFileSync('sysctl', ['-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
ip('link set lo up');
const tunnel = addon.openTunnel({ interface: 'moved0', mtu: 1380, localAddress: LOOPBACK }, () => undefined);
ip('addr add 10.9.9.1/32 dev moved0');
ip('link set moved0 up');
ip('route add 10.9.9.0/24 dev moved0');

const seen = [];
const listeners = PORTS.map((port) => {
  const listener = createSocket('udp4');
  listener.on('message', (packet) => seen.push({ port, sequence: packet.readUInt32BE(4) }));
  listener.bind(port, '127.0.0.1');
  return listener;
});
await Promise.all(listeners.map((listener) => once(listener, 'listening')));

const [first, second] = PORTS;
tunnel.moveOutbound(LOOPBACK, second); // nothing to move yet
const sa = { spi: 0x1000, key: new Uint8Array(32), salt: new Uint8Array(4), esn: false, replayWindow: 64 };
tunnel.setOutbound(sa, 'udp', LOOPBACK, first);
const sender = createSocket('udp4');
for (const move of [undefined, second, first]) {
  if (move !== undefined) {
    tunnel.moveOutbound(LOOPBACK, first);
    tunnel.moveOutbound(LOOPBACK, move);
  }
  const before = seen.length;
  sender.send('packet', 9, '10.9.9.2');
  sender.send('packet', 9, '10.9.9.2');
  while (seen.length < before + 2) await new Promise((resolve) => setImmediate(resolve));
}
process.stdout.write(JSON.stringify(seen));
tunnel.close();
for (const socket of [sender, ...listeners]) socket.close();
