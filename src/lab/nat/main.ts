import { z } from 'zod';
import { loadAddon } from '../../io/addon.ts';
import { NetlinkSocket } from '../../io/netlink.ts';
import { ip, prefix } from '../../lib/ip.ts';
import { printMessage, readOptions } from '../role-process.ts';
import { sourceNat } from './nft-wire.ts';

/**
 * Gives the namespace it runs in a source NAT and ends: `node main.js '{"inside":"192.168.1.0/24","outside":"203.0.113.10"}'`.
 * Says `done`, or `refused` with the kernel's words.
 */

const NETLINK_NETFILTER = 12;
const options = readOptions(z.strictObject({ inside: z.cidrv4(), outside: z.ipv4() }));

const { begin, messages, end } = sourceNat({
  table: 'lab-nat',
  chain: 'postrouting',
  inside: prefix(options.inside),
  outside: ip(options.outside),
});
let socket: NetlinkSocket | undefined;
try {
  socket = new NetlinkSocket(loadAddon(), { protocol: NETLINK_NETFILTER });
  const refusal = (await socket.transaction(begin, messages, end)).find((answer) => answer !== undefined);
  if (refusal === undefined) printMessage({ event: 'done' });
  else
    printMessage({ event: 'refused', reason: [refusal.code, refusal.detail].filter((part) => part !== '').join(' ') });
} catch (error) {
  printMessage({ event: 'refused', reason: error instanceof Error ? error.message : String(error) });
} finally {
  socket?.close();
}
