import { loadAddon } from '../../io/addon.ts';
import { systemClock } from '../../io/clock.ts';
import { IcmpSocket } from '../../io/icmp.ts';
import { ip } from '../../lib/ip.ts';
import { printMessage, readOptions } from '../role-process.ts';
import { type PingRequest, pingOptions } from './request.ts';
import { type PingSummary, summarise } from './statistics.ts';

/** Sends the echo requests of its one argument (request.ts), all at once, and prints what became of them. */

const { requests, timeoutMs } = readOptions(pingOptions);
const summaries = await Promise.all(requests.map(ping));
printMessage({ event: 'done', summaries });

function ping({ from, to, device, count }: PingRequest, index: number): Promise<PingSummary> {
  return new Promise((resolve) => {
    const roundTripsMs: number[] = [];
    let open = count;
    // Each pair has an identifier of its own; the low bits of the process id keep two runs apart.
    const identifier = ((process.pid << 8) + index) & 0xffff;
    const options = { device, localAddress: ip(from), identifier, timeoutMs };
    const socket = new IcmpSocket(loadAddon(), options, systemClock, (result) => {
      if (result.kind === 'reply') roundTripsMs.push(result.roundTripMs);
      open -= 1;
      if (open > 0) return;
      socket.close();
      resolve(summarise({ from, to, device, sent: count }, roundTripsMs));
    });
    for (let n = 0; n < count; n++) socket.echo(ip(to));
  });
}
