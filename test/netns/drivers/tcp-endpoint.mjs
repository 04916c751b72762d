/**
 * The TCP of the daemon for a test whose process is outside the network namespace.
 * argv: local address, peer address, TCP-MD5 password if there is one. stdin: lines {op: dial|write|end, id, hex}. stdout: lines
 * {op: listening|accepted|connected|data|closed, id, hex, reason}.
 */
import { createInterface } from 'node:readline';
import { loadAddon } from '../../../dist/io/addon.js';
import { dialTcp, listenTcp } from '../../../dist/io/tcp.js';
import { ip } from '../../../dist/lib/ip.js';

const BGP_PORT = 179;
const [local = '', far = '', password] = process.argv.slice(2);
const addon = loadAddon();
const peer = ip(far);
const options = {
  localAddress: ip(local),
  md5: password === undefined ? undefined : [{ peer, key: new TextEncoder().encode(password) }],
};
/** @type {Map<number, import('../../../src/io/tcp.ts').TcpConnection>} */
const connections = new Map();
let lastAccepted = 0;

/** @param {object} event */
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

/** @param {number} id */
const handlersOf = (id) => ({
  onConnected: () => tell({ op: 'connected', id }),
  /** @param {Uint8Array} bytes */
  onData: (bytes) => tell({ op: 'data', id, hex: Buffer.from(bytes).toString('hex') }),
  /** @param {string} reason */
  onClosed: (reason) => {
    connections.delete(id);
    tell({ op: 'closed', id, reason });
  },
});

await listenTcp(addon, { ...options, port: BGP_PORT }, (connection) => {
  const id = -++lastAccepted;
  connections.set(id, connection);
  tell({ op: 'accepted', id });
  return handlersOf(id);
});
tell({ op: 'listening' });

createInterface({ input: process.stdin }).on('line', (line) => {
  const { op, id, hex } = JSON.parse(line);
  if (op === 'write') connections.get(id)?.write(Buffer.from(hex, 'hex'));
  else if (op === 'end') connections.get(id)?.end();
  else connections.set(id, dialTcp(addon, { address: peer, port: BGP_PORT }, options, handlersOf(id)));
});
process.stdin.on('end', () => process.exit(0));
