// Sends a small datagram on each of many flows again and again.
// argv: peer address, first source port, number of flows, interval in ms.
import { createSocket } from 'node:dgram';

const DISCARD = 9;
const [peerAddress, firstPort, count, intervalMs] = process.argv.slice(2);
const sockets = await Promise.all(
  Array.from({ length: Number(count) }, async (_, i) => {
    const socket = createSocket('udp4');
    socket.on('error', () => undefined); // nobody listens there, or there is no route for a moment
    await new Promise((resolve) => socket.bind(Number(firstPort) + i, resolve));
    return socket;
  }),
);
setInterval(() => {
  for (const socket of sockets) socket.send('flow', DISCARD, peerAddress);
}, Number(intervalMs));
