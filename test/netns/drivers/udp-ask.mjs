// Sends one datagram for each line of hex on standard input, from one local address to one peer; each line on standard
// output is the answer to one of them, in hex. argv: local address, peer address, peer port.
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const [localAddress, peerAddress, peerPort] = process.argv.slice(2);
const socket = createSocket('udp4');
socket.on('message', (bytes) => process.stdout.write(`${bytes.toString('hex')}\n`));
socket.bind(0, localAddress, () => {
  const input = createInterface({ input: process.stdin });
  input.on('line', (hex) => socket.send(Buffer.from(hex, 'hex'), Number(peerPort), peerAddress));
  input.on('close', () => socket.close());
});
