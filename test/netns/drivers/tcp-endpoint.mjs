/**
 * TCP sockets for a test whose process is outside the network namespace.
 * argv: local address, peer address. stdin: lines {op: dial|write|end, id, hex}. stdout: lines {op: accepted|connected|data|closed, id, hex, reason}.
 */
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const BGP_PORT = 179;
const [localAddress, peerAddress] = process.argv.slice(2);
/** @type {Map<number, import('node:net').Socket>} */
const sockets = new Map();
let lastAccepted = 0;

/** @param {object} event */
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

/**
 * @param {number} id
 * @param {import('node:net').Socket} socket
 */
function attach(id, socket) {
  let reason = 'end of stream';
  sockets.set(id, socket);
  socket.on('data', (bytes) => tell({ op: 'data', id, hex: bytes.toString('hex') }));
  socket.on('error', (error) => {
    reason = error.message;
  });
  socket.on('close', () => {
    sockets.delete(id);
    tell({ op: 'closed', id, reason });
  });
}

createServer((socket) => {
  const id = -++lastAccepted;
  attach(id, socket);
  tell({ op: 'accepted', id });
}).listen(BGP_PORT, localAddress, () => tell({ op: 'listening' }));

createInterface({ input: process.stdin }).on('line', (line) => {
  const { op, id, hex } = JSON.parse(line);
  if (op === 'write') sockets.get(id)?.write(Buffer.from(hex, 'hex'));
  else if (op === 'end') sockets.get(id)?.end();
  else {
    const socket = connect({ host: peerAddress, port: BGP_PORT, localAddress });
    attach(id, socket);
    socket.on('connect', () => tell({ op: 'connected', id }));
  }
});
process.stdin.on('end', () => process.exit(0));
