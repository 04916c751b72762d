import type { Command } from 'commander';
import type { SaView } from '../../admin/wire.ts';
import { age, bytes, table } from '../render.ts';
import { addView, type CommandHost } from '../view.ts';

export function registerIpsec(program: Command, host: CommandHost): void {
  const ipsec = program.command('ipsec').description('ESP SAs and their counters');
  addView<SaView[]>(ipsec, host, {
    name: 'sa',
    summary: 'ESP SAs as they are',
    load: ({ client }) => client.get('/v1/ipsec/sas'),
    table: (rows) => (rows.length === 0 ? 'No ESP SAs yet.\n' : saTable(rows)),
  });
}

const saTable = (rows: readonly SaView[]): string =>
  table(
    [
      { title: 'TUNNEL', cell: (sa) => `${sa.tunnel} ${sa.interface}` },
      { title: 'SPI IN / OUT', cell: ({ spi_in, spi_out }) => `${spi_in} / ${spi_out}` },
      { title: 'AGE', align: 'right', cell: ({ age_s }) => age(age_s) },
      { title: 'REKEY', align: 'right', cell: rekeyCell },
      { title: 'PACKETS OUT / IN', cell: ({ packets }) => `${packets.out} / ${packets.in}` },
      { title: 'BYTES OUT / IN', cell: (sa) => `${bytes(sa.bytes.out)} / ${bytes(sa.bytes.in)}` },
      { title: 'ENCAP', cell: ({ encap, mtu }) => `${encap} ${mtu}` },
      { title: 'SUITE, GAPS, DROPS', cell: (sa) => [sa.suite, ...gaps(sa), ...drops(sa)].join(', ') },
    ],
    rows,
  );

/** Sequence numbers are left out: without a limit of packets nobody counts them. */
const rekeyCell = ({ rekey_in_s, rekey_in_bytes }: SaView): string =>
  rekey_in_bytes === null ? age(rekey_in_s) : `${age(rekey_in_s)} ${bytes(rekey_in_bytes)}`;

/** What the sequence numbers that come in say about the path. */
const gaps = ({ sequence: { missing, reordered } }: SaView): string[] => [
  ...(missing > 0 ? [`${missing} missing`] : []),
  ...(reordered > 0 ? [`${reordered} reordered`] : []),
];

/** Reasons that occurred. */
const drops = ({ drops: counts }: SaView): string[] =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${count} ${reason}`);
