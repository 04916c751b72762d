/**
 * One direction of numbered UDP datagrams. argv: `send` local-address peer-address port packets-per-second, or `receive` local-address port.
 * SIGTERM ends either; the sender then prints {sent}; the receiver, half a second after the last datagram,
 * {received, duplicated, missing: [first few numbers], longestGapMs, gaps: [{from, to} as milliseconds since 1970]}. A receiver
 * that is ready prints `listening`, and `receiving` with the first datagram.
 */
import { createSocket } from 'node:dgram';

const SIZE = 200;
const TICK_MS = 5;
const SILENCE_MS = 500;
const SHOWN = 20;
/** A pause in the stream that is worth telling. */
const GAP_MS = 100;
const [role, localAddress = '', ...rest] = process.argv.slice(2);
const socket = createSocket('udp4');
// While the way is broken the kernel refuses single datagrams: they are lost, and the stream goes on.
socket.on('error', () => undefined);

if (role === 'send') send(String(rest[0]), Number(rest[1]), Number(rest[2]));
else receive(Number(rest[0]));

/**
 * @param {string} peer
 * @param {number} port
 * @param {number} rate
 */
function send(peer, port, rate) {
  let sent = 0;
  const datagram = Buffer.alloc(SIZE);
  socket.bind(0, localAddress, () => {
    socket.connect(port, peer, () => {
      const started = performance.now();
      const pacing = setInterval(() => {
        // After a pause of this process, what is overdue goes out at twice the rate and not in one burst.
        const due = Math.min(Math.floor(((performance.now() - started) * rate) / 1000), sent + burst);
        for (; sent < due; sent += 1) {
          datagram.writeUInt32BE(sent);
          socket.send(Buffer.from(datagram));
        }
      }, TICK_MS);
      const burst = Math.max(1, Math.ceil((2 * rate * TICK_MS) / 1000));
      process.once('SIGTERM', () => {
        clearInterval(pacing);
        finish({ sent });
      });
    });
  });
}

/** @param {number} port */
function receive(port) {
  let times = new Uint8Array(1 << 16);
  let highest = -1;
  let lastAt = performance.now();
  let longestGapMs = 0;
  /** @type {{ from: number, to: number }[]} */
  const gaps = [];
  socket.on('message', (datagram) => {
    const number = datagram.readUInt32BE();
    const now = performance.now();
    if (highest < 0) console.log('receiving');
    if (highest >= 0) longestGapMs = Math.max(longestGapMs, now - lastAt);
    if (highest >= 0 && now - lastAt > GAP_MS && gaps.length < SHOWN) {
      gaps.push({ from: Date.now() - (now - lastAt), to: Date.now() });
    }
    lastAt = now;
    highest = Math.max(highest, number);
    if (number >= times.length) {
      const longer = new Uint8Array(2 * Math.max(times.length, number));
      longer.set(times);
      times = longer;
    }
    times[number] = Math.min(255, (times[number] ?? 0) + 1);
  });
  socket.bind(port, localAddress, () => {
    socket.setRecvBufferSize(4 << 20);
    console.log('listening');
  });
  process.once('SIGTERM', () => {
    const waiting = setInterval(() => {
      if (performance.now() - lastAt < SILENCE_MS) return;
      clearInterval(waiting);
      const seen = times.subarray(0, highest + 1);
      const missing = [...seen.keys()].filter((number) => seen[number] === 0);
      finish({
        received: seen.length - missing.length,
        duplicated: seen.reduce((sum, count) => sum + Math.max(0, count - 1), 0),
        missing: missing.slice(0, SHOWN),
        longestGapMs: Math.round(longestGapMs),
        gaps,
      });
    }, 50);
  });
}

/** @param {object} result */
function finish(result) {
  console.log(JSON.stringify(result));
  socket.close();
}
