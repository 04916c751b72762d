// One end of a tunnel with static keys, for the data plane's namespace test. Options come as JSON in the first argument;
// each line on standard input is a command, each line on standard output a JSON value.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { formatIp, ip, ipFromBytes } from '../../../dist/lib/ip.js';
import { pcapng } from '../../../dist/obs/pcapng.js';

const native = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'native');
const addon = createRequire(import.meta.url)('node-gyp-build')(native);

const options = JSON.parse(process.argv[2]);
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const address = (text) => ip(text).bytes;
const remote = address(options.remote);
const sa = ({ spi, key, salt, esn = false }) => ({
  spi,
  key: bytes(key),
  salt: bytes(salt),
  esn,
  replayWindow: options.replayWindow ?? 4096,
  cipher: options.tuning?.cipher ?? 'openssl',
});
const sendThrough = (outer) => tunnel.setOutbound(outer, options.encapsulation ?? 'udp', remote, 4500);

const tunnel = addon.openTunnel(
  {
    interface: options.interface,
    mtu: options.mtu,
    localAddress: address(options.local),
    ...(options.responder ? {} : { remoteAddress: remote }),
    copyDscp: options.copyDscp ?? false,
    ...options.tuning,
  },
  (event) => say({ event: event.kind === 'ike' ? { ...event, ...texts(event) } : event }),
);
const inbound = tunnel.addInbound(sa(options.inbound));
let outbound = sendThrough(sa(options.outbound));

const commands = {
  counters: () => say({ tunnel: [...tunnel.counters], inbound: [...inbound], outbound: [...outbound] }),
  ike: (port, hex) => tunnel.sendIke(Number(port), remote, Number(port), bytes(hex)),
  keepalive: () => tunnel.sendKeepalive(remote, 4500),
  clear: () => tunnel.clearOutbound(),
  restore: (nextSequence = '1') => {
    outbound = sendThrough({ ...sa(options.outbound), nextSequence: BigInt(nextSequence) });
  },
  // A rekey in steps: the new SA receives, then sends, then the old one goes.
  receive: (spi) => {
    tunnel.addInbound(sa(rekeyed(options.inbound, Number(spi))));
    say({ receives: Number(spi) });
  },
  send: (spi) => {
    outbound = sendThrough(sa(rekeyed(options.outbound, Number(spi))));
    say({ sends: Number(spi) });
  },
  forget: (spi) => tunnel.removeInbound(Number(spi)),
  raw: (protocol, hex) => sendRaw(Number(protocol), bytes(hex)),
  forge: (sequence, damage) => forge(BigInt(sequence), damage === 'damaged'),
  threads: (name) => say({ threads: threadsNamed(name).length }),
  schedule: (name) => say({ schedule: threadsNamed(name).map(scheduleOf) }),
  capture: (side) => {
    tunnel.startCapture(side, 1000, 1600);
    say({ capturing: side });
  },
  captured: async (file) => {
    await writeCapture(file);
    say({ captured: file });
  },
  close: async () => {
    const start = performance.now();
    await tunnel.close();
    say({ closedMs: performance.now() - start });
  },
  exit: () => input.close(),
};
const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const [name, ...rest] = line.split(' ');
  commands[name](...rest);
});
input.on('close', () => tunnel.close());
say({ ready: tunnel.interfaceIndex });

async function writeCapture(file) {
  tunnel.endCapture();
  let packets = tunnel.collectCapture();
  for (; packets === undefined; packets = tunnel.collectCapture()) await wait(1);
  packets.sort((a, b) => (a.timeNs < b.timeNs ? -1 : 1));
  writeFileSync(file, pcapng({ interface: options.interface, snapLength: 1600 }, packets.map(captured)));
}

function captured({ remoteAddress, remotePort, localPort, ...known }) {
  if (remoteAddress === undefined) return known;
  const remote = { address: ipFromBytes(remoteAddress), port: remotePort };
  return { ...known, outside: { local: { address: ip(options.local), port: localPort }, remote } };
}

/** Another SA with a key of its own, which both ends derive from its SPI. */
function rekeyed(from, spi) {
  return { ...from, spi, key: spi.toString(16).padStart(from.key.length, '5a') };
}

/** An ESP packet of our outbound SA with a number of the caller's choice, past the tunnel, from port 4500 to port 4500. */
function forge(sequence, damaged) {
  const inner = new Uint8Array(28);
  inner.set(bytes('4500001c00004000ff11'));
  inner.set(address('10.255.0.1'), 12);
  inner.set(address('10.255.0.2'), 16);
  const esp = addon.espSeal(sa(options.outbound), sequence, inner);
  if (damaged) esp[esp.length - 1] ^= 1;
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(4500, 0);
  udp.writeUInt16BE(4500, 2);
  udp.writeUInt16BE(8 + esp.length, 4);
  sendRaw(17, Buffer.concat([udp, esp]));
}

/** Past the tunnel, right on IP. */
function sendRaw(protocol, payload) {
  const raw = addon.openRaw(protocol, { localAddress: address(options.local) }, () => undefined);
  raw.sendTo(remote, payload);
  raw.close();
}

/** Their ids. */
function threadsNamed(name) {
  const ids = readdirSync('/proc/self/task');
  return ids.filter((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim() === name);
}

/** How long a thread has run, and where it may. */
function scheduleOf(id) {
  const task = `/proc/self/task/${id}`;
  return {
    ranNs: Number(readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]),
    processors: /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`${task}/status`, 'utf8'))[1],
  };
}

function texts({ remoteAddress, message }) {
  return { remoteAddress: formatIp(ipFromBytes(remoteAddress)), message: Buffer.from(message).toString('hex') };
}

function say(value) {
  process.stdout.write(`${JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v))}\n`);
}
