import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { nodeCryptoWith, systemRandom } from '../../crypto/node.ts';
import { loadAddon } from '../../io/addon.ts';
import { systemClock } from '../../io/clock.ts';
import { hostPrefix, ip, prefix } from '../../lib/ip.ts';
import { parseJson, printMessage, readOptions } from '../role-process.ts';
import { Gateway } from './gateway.ts';
import { KernelRoutes } from './kernel-routes.ts';
import { type GatewayCommand, gatewayCommand } from './order.ts';

/**
 * A zone gateway as a process of its own: `node main.js '<options as JSON>'`. Commands are JSON lines on standard input
 * (order.ts), events JSON lines on standard output, keys in none of them. Ends with standard input or SIGTERM.
 */

const options = readOptions(
  z.strictObject({
    endpoint: z.ipv4(),
    device: z.string(),
    mtu: z.int(),
    asn: z.int(),
    announced: z.array(z.cidrv4()),
    /** Answers HTTP 200 to anything, as Microsoft's health probe does. */
    probe: z.strictObject({ address: z.ipv4(), port: z.int() }),
  }),
);

const report = (event: string, detail: string): void => printMessage({ event, detail });
const announced = options.announced.map(prefix);
const routes = new KernelRoutes(options.device, (message) => report('failed', message));
const addon = loadAddon();
const gateway = new Gateway(
  { device: options.device, mtu: options.mtu, endpoint: ip(options.endpoint), asn: options.asn, announced },
  { addon, clock: systemClock, crypto: nodeCryptoWith(addon.agreeEcp), random: systemRandom, routes, report },
);

await routes.own([...announced, hostPrefix(ip(options.probe.address))]);
const probe = createServer((_, response) => response.end('pong\n'));
await new Promise<void>((resolve, reject) => {
  probe.once('error', reject);
  probe.listen(options.probe.port, options.probe.address, resolve);
});

let last: Promise<void> = Promise.resolve();
const commands = createInterface({ input: process.stdin });
commands.on('line', (line) => {
  last = last.then(() => obey(line));
});
commands.once('close', stop);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => commands.close());
printMessage({ event: 'ready' });

async function obey(line: string): Promise<void> {
  const command = gatewayCommand.safeParse(parseJson(line));
  // The line may hold a key: it is not repeated.
  if (!command.success) return report('failed', 'a command was not understood');
  try {
    await perform(command.data);
  } catch (error) {
    report('failed', error instanceof Error ? error.message : String(error));
  }
}

function perform(command: GatewayCommand): Promise<void> {
  return command.command === 'serve' ? gateway.serve(command) : gateway.withdraw();
}

function stop(): void {
  last = last.then(async () => {
    await gateway.close();
    probe.close();
    probe.closeAllConnections();
    process.stdin.destroy();
  });
}
