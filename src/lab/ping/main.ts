import { loadAddon } from '../../io/addon.ts';
import { systemClock } from '../../io/clock.ts';
import { IcmpSocket } from '../../io/icmp.ts';
import { ip } from '../../lib/ip.ts';
import { printMessage, readOptions } from '../role-process.ts';
import { type PingRequest, pingOptions } from './request.ts';
import { type PingSummary, summarise } from './statistics.ts';

/** Sends the echo requests of its one argument (request.ts) and prints what became of them. */

/** Pairs of addresses that are pinged at a time: enough to be quick, too few to measure the queueing in this process. */
const AT_A_TIME = 8;

const { requests, timeoutMs } = readOptions(pingOptions);
const summaries: PingSummary[] = [];
const waiting = [...requests.entries()];
await Promise.all(Array.from({ length: AT_A_TIME }, pingNext));
printMessage({ event: 'done', summaries });

async function pingNext(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [index, request] = next;
    summaries[index] = await ping(request, index);
  }
}

/** One echo after the other. */
function ping({ from, to, device, count: sent }: PingRequest, index: number): Promise<PingSummary> {
  return new Promise((resolve) => {
    const roundTripsMs: number[] = [];
    let left = sent;
    // Each pair has an identifier of its own; the low bits of the process id keep two runs apart.
    const identifier = ((process.pid << 8) + index) & 0xffff;
    const options = { device, localAddress: ip(from), identifier, timeoutMs };
    const socket = new IcmpSocket(loadAddon(), options, systemClock, (result) => {
      if (result.kind === 'reply') roundTripsMs.push(result.roundTripMs);
      left -= 1;
      if (left > 0) return void socket.echo(ip(to));
      socket.close();
      resolve(summarise({ from, to, device, sent }, roundTripsMs));
    });
    socket.echo(ip(to));
  });
}
