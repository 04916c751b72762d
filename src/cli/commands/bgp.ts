import type { Command } from 'commander';
import type { AdvertisedPrefixView, NeighborView, ReceivedPrefixView } from '../../admin/wire.ts';
import { CliError, Exit } from '../exit.ts';
import { age, fields, orDash, type Screen, table } from '../render.ts';
import { addView, type CommandHost, clientOf, socketOption } from '../view.ts';
import { writeWhole } from '../write-whole.ts';

export function registerBgp(program: Command, host: CommandHost): void {
  const bgp = program.command('bgp').description('BGP sessions and what they learned');
  addView<NeighborView[]>(bgp, host, {
    name: 'summary',
    summary: 'one line for each neighbour',
    load: ({ client }) => client.get('/v1/bgp/neighbors'),
    table: summaryTable,
  });
  addView<NeighborView>(bgp, host, {
    name: 'neighbor <ip>',
    summary: 'everything about one neighbour',
    load: async ({ client, args }) => pick(await client.get('/v1/bgp/neighbors'), args[0] ?? ''),
    table: neighborFields,
  });
  addView<ReceivedPrefixView[]>(bgp, host, {
    name: 'received <ip>',
    summary: 'prefixes a neighbour announced, and why some were not accepted',
    load: ({ client, args }) => client.get(`/v1/bgp/neighbors/${encodeURIComponent(args[0] ?? '')}/received`),
    table: receivedTable,
  });
  addView<AdvertisedPrefixView[]>(bgp, host, {
    name: 'advertised <ip>',
    summary: 'networks of ours that a neighbour was told',
    load: ({ client, args }) => client.get(`/v1/bgp/neighbors/${encodeURIComponent(args[0] ?? '')}/advertised`),
    table: advertisedTable,
  });
  bgp
    .command('mrt <file>')
    .description('what the neighbours announced, before policy, as an MRT file (RFC 6396) for bgpdump and the like')
    .addOption(socketOption())
    .action(async (file: string, _options: unknown, command: Command) => {
      await writeWhole(file, clientOf(command, host).pieces('/v1/bgp/mrt'));
      host.finish(Exit.ok);
    });
}

function pick(neighbors: readonly NeighborView[], ip: string): NeighborView {
  const found = neighbors.find((neighbor) => neighbor.peer === ip);
  if (found !== undefined) return found;
  const have =
    neighbors.length === 0 ? 'there are none yet' : `there are ${neighbors.map(({ peer }) => peer).join(', ')}`;
  throw new CliError(Exit.notFound, `no BGP neighbour has the address ${ip}: ${have}`);
}

function summaryTable(rows: readonly NeighborView[], { colors }: Screen): string {
  if (rows.length === 0) return 'No BGP neighbours yet.\n';
  return table(
    [
      { title: 'NEIGHBOR', cell: ({ peer }) => peer },
      { title: 'TUNNEL', cell: (neighbor) => `${neighbor.tunnel} ${neighbor.interface}` },
      { title: 'AS', align: 'right', cell: ({ asn }) => String(asn) },
      {
        title: 'STATE',
        cell: ({ state }) => state,
        paint: (text, { state }) => (state === 'established' ? colors.green(text) : colors.red(text)),
      },
      { title: 'UP', align: 'right', cell: ({ uptime_s }) => age(uptime_s) },
      { title: 'RCVD', align: 'right', cell: ({ prefixes }) => String(prefixes.received) },
      { title: 'ACC', align: 'right', cell: ({ prefixes }) => String(prefixes.accepted) },
      { title: 'ADV', align: 'right', cell: ({ prefixes }) => String(prefixes.advertised) },
      { title: 'MSG IN/OUT', cell: ({ counters }) => `${counters.messages_in}/${counters.messages_out}` },
      { title: 'LAST ERROR', cell: ({ last_error }) => orDash(last_error) },
    ],
    rows,
  );
}

function neighborFields({ timers, counters, prefixes, ...neighbor }: NeighborView): string {
  const agreed = timers.hold_s === null ? 'none agreed yet' : `${timers.hold_s}s, keepalive ${timers.keepalive_s}s`;
  return fields([
    ['Neighbor', `${neighbor.peer}, AS ${neighbor.asn}`],
    ['Local', `${neighbor.local_ip}, AS ${neighbor.local_asn}`],
    ['Tunnel', `${neighbor.tunnel} on ${neighbor.interface}`],
    ['State', `${neighbor.state}, up ${age(neighbor.uptime_s)}`],
    ['Hold time', `${agreed} (configured ${timers.configured_hold_s}s)`],
    ['Capabilities', neighbor.capabilities.join(', ') || 'none'],
    ['Prefixes', `${prefixes.received} received, ${prefixes.accepted} accepted, ${prefixes.advertised} advertised`],
    ['Messages', `${counters.messages_in} in, ${counters.messages_out} out`],
    [
      'Updates',
      `${counters.updates_in} in, ${counters.updates_out} out${counters.malformed_updates > 0 ? `, ${counters.malformed_updates} malformed` : ''}`,
    ],
    ['Established', `${counters.sessions_established} times`],
    ['Last error', neighbor.last_error ?? 'none'],
  ]);
}

function receivedTable(rows: readonly ReceivedPrefixView[], { colors }: Screen): string {
  if (rows.length === 0) return 'Nothing received yet.\n';
  return table(
    [
      { title: 'PREFIX', cell: ({ prefix }) => prefix },
      { title: 'NEXT HOP', cell: ({ next_hop }) => next_hop },
      { title: 'ORIGIN', cell: ({ origin }) => origin },
      { title: 'MED', align: 'right', cell: ({ med }) => orDash(med) },
      { title: 'AGE', align: 'right', cell: ({ age_s }) => age(age_s) },
      {
        title: 'ACCEPTED',
        cell: ({ accepted }) => (accepted ? 'yes' : 'no'),
        paint: (text, { accepted }) => (accepted ? text : colors.red(text)),
      },
      {
        title: 'AS PATH / REASON',
        cell: ({ as_path, reject_reason }) => [as_path, reject_reason].filter(Boolean).join(' ') || '-',
      },
    ],
    rows,
  );
}

function advertisedTable(rows: readonly AdvertisedPrefixView[]): string {
  if (rows.length === 0) return 'Nothing advertised: no session, or no network with "advertise: true".\n';
  return table(
    [
      { title: 'PREFIX', cell: ({ prefix }) => prefix },
      { title: 'NEXT HOP', cell: ({ next_hop }) => next_hop },
      { title: 'ORIGIN', cell: ({ origin }) => origin },
      { title: 'AS PATH', cell: ({ as_path }) => as_path },
    ],
    rows,
  );
}
