import { type Command, Option } from 'commander';
import type { IkeHistoryView, StatusView, TunnelView } from '../../admin/wire.ts';
import { age, ago, fields, orDash, type Screen, table } from '../render.ts';
import { addView, type CommandHost } from '../view.ts';

/** An IKE SA with the tunnel it serves. */
type IkeSaRow = { tunnel: string; endpoint: string; local_endpoint: string | null } & TunnelView['ike'];

export function registerIke(program: Command, host: CommandHost): void {
  const ike = program.command('ike').description('IKE SAs and exchanges');
  addView<IkeHistoryView[]>(ike, host, {
    name: 'history',
    summary: 'exchanges of the past, newest first',
    options: [
      new Option('--tunnel <name>', 'of one tunnel only, such as fiber/1'),
      new Option('--limit <count>', 'at most this many').default('100'),
    ],
    load: ({ client, options }) => client.get(`/v1/ike/history?${historyQuery(options)}`),
    table: historyTable,
  });
  addView<IkeSaRow[]>(ike, host, {
    name: 'sa',
    summary: 'IKE SAs as they are',
    load: async ({ client }) => ikeSas(await client.get<StatusView>('/v1/status')),
    table: (rows) => (rows.length === 0 ? 'No tunnels yet.\n' : ikeSaTable(rows)),
  });
}

function historyQuery(options: { readonly [option: string]: unknown }): URLSearchParams {
  const query = new URLSearchParams({ limit: String(options['limit']) });
  if (typeof options['tunnel'] === 'string') query.set('tunnel', options['tunnel']);
  return query;
}

function historyTable(rows: readonly IkeHistoryView[], { now, colors }: Screen): string {
  if (rows.length === 0) return 'No exchanges yet.\n';
  const [head = '', ...lines] = historyLines(rows, colors, now).split('\n');
  return `${[head, ...rows.flatMap((row, i) => [lines[i] ?? '', ...details(row)])].join('\n')}\n`;
}

/** Under a row that went wrong: both proposals one above the other, and what the ends told each other. */
function details({ result, proposal_local, proposal_peer, notify }: IkeHistoryView): string[] {
  if (result !== 'failed') return [];
  const pairs = [
    ['ours', proposal_local ?? ''],
    ['peer', proposal_peer ?? ''],
    ['sent', notify.sent.join(', ')],
    ['received', notify.received.join(', ')],
  ].filter(([, value]) => value !== '') as [string, string][];
  if (pairs.length === 0) return [];
  const indented = fields(pairs.map(([title, value]) => [`  ${title}`, value]));
  return indented.trimEnd().split('\n');
}

function historyLines(rows: readonly IkeHistoryView[], colors: Screen['colors'], now: Date): string {
  return table(
    [
      { title: 'WHEN', cell: ({ time }) => ago(time, now) },
      { title: 'TUNNEL', cell: ({ tunnel }) => tunnel },
      { title: 'EXCHANGE', cell: ({ exchange }) => exchange },
      { title: 'DIR', cell: ({ direction }) => direction },
      { title: 'ID', align: 'right', cell: ({ message_id }) => String(message_id) },
      {
        title: 'RESULT',
        cell: ({ result }) => result,
        paint: (text, { result }) => (result === 'ok' ? text : colors.red(text)),
      },
      { title: 'TOOK', align: 'right', cell: ({ duration_ms }) => `${Math.round(duration_ms)} ms` },
      { title: 'PEER', cell: ({ peer }) => peer },
      {
        title: 'PROPOSAL / REASON',
        cell: ({ reason, proposal, nat }) => [proposal, reason, natWords(nat)].filter(Boolean).join(' ') || '-',
      },
    ],
    rows,
  );
}

const ikeSas = ({ links }: StatusView): IkeSaRow[] =>
  links
    .flatMap((link) => link.tunnels)
    .map(({ link, zone, endpoint, local_endpoint, ike }) => ({
      tunnel: `${link}/${zone}`,
      endpoint,
      local_endpoint,
      ...ike,
    }));

const ikeSaTable = (rows: readonly IkeSaRow[]): string =>
  table(
    [
      { title: 'TUNNEL', cell: ({ tunnel }) => tunnel },
      { title: 'STATE', cell: ({ state }) => state },
      { title: 'ENDPOINT', cell: ({ endpoint }) => endpoint },
      { title: 'AGE', align: 'right', cell: ({ age_s }) => age(age_s) },
      { title: 'REKEY IN', align: 'right', cell: ({ rekey_in_s }) => age(rekey_in_s) },
      { title: 'NAT', cell: natCell },
      { title: 'SPI I / R', cell: ({ spi_i, spi_r }) => `${orDash(spi_i)} / ${orDash(spi_r)}` },
      { title: 'SUITE', cell: ({ suite }) => orDash(suite) },
    ],
    rows,
  );

function natWords(nat: IkeHistoryView['nat']): string {
  const sides = [nat?.local === true ? 'here' : '', nat?.remote === true ? 'at the peer' : ''].filter(Boolean);
  return sides.length === 0 ? '' : `(NAT ${sides.join(' and ')})`;
}

function natCell({ nat }: IkeSaRow): string {
  if (nat.local === null && nat.remote === null) return '-';
  const sides = [nat.local === true ? 'here' : '', nat.remote === true ? 'peer' : ''].filter(Boolean);
  return sides.length === 0 ? 'none' : sides.join('+');
}
