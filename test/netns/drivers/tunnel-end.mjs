// One end of a tunnel with static keys, for the data plane's namespace test. Options come as JSON in the first argument;
// each line on standard input is a command, each line on standard output a JSON answer.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const native = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'native');
const addon = createRequire(import.meta.url)('node-gyp-build')(native);

const options = JSON.parse(process.argv[2]);
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const address = (text) => Uint8Array.from(text.split('.'), Number);
const say = (value) =>
  process.stdout.write(`${JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v))}\n`);
const sa = ({ spi, key, salt }) => ({ spi, key: bytes(key), salt: bytes(salt), esn: false, replayWindow: 1024 });

const tunnel = addon.openTunnel(
  {
    interface: options.interface,
    mtu: options.mtu,
    localAddress: address(options.local),
    ...(options.responder ? {} : { remoteAddress: address(options.remote) }),
  },
  (event) => say(event.kind === 'ike' ? { ...event, message: Buffer.from(event.message).toString('hex') } : event),
);
const inbound = tunnel.addInbound(sa(options.inbound));
const outbound = tunnel.setOutbound(sa(options.outbound), 'udp', address(options.remote), 4500);

const commands = {
  counters: () => say({ tunnel: [...tunnel.counters], inbound: [...inbound], outbound: [...outbound] }),
  ike: (port) => tunnel.sendIke(Number(port), address(options.remote), Number(port), bytes('00112233')),
  keepalive: () => tunnel.sendKeepalive(address(options.remote), 4500),
  carrier: (up) => tunnel.setCarrier(up === 'up'),
  clear: () => tunnel.clearOutbound(),
  close: () => {
    const start = performance.now();
    tunnel.close();
    say({ closedMs: performance.now() - start });
    input.close();
  },
  cpu: () => say(process.cpuUsage()),
};
const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const [name, ...rest] = line.split(' ');
  commands[name](...rest);
});
say({ ready: tunnel.interfaceIndex });
