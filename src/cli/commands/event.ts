import type { Command } from 'commander';
import type { EventView } from '../../admin/wire.ts';
import { ago, orDash, plain, type Screen } from '../render.ts';
import { addView, type CommandHost } from '../view.ts';

export function registerEvent(program: Command, host: CommandHost): void {
  addView<EventView[]>(program, host, {
    name: 'event',
    summary: 'what happened, oldest first; -w goes on as it happens',
    load: ({ client }) => client.get('/v1/events?after=0'),
    table: (events, screen) => events.map((event) => eventLine(event, screen)).join('') || 'No events yet.\n',
    async follow({ client, io }, show) {
      for await (const event of client.events(0, io.interrupted)) show([event]);
    },
  });
}

const eventLine = ({ time, kind, tunnel, message }: EventView, { now }: Screen): string =>
  `${time}  ${ago(time, now).padStart(8)}  ${plain(orDash(tunnel)).padEnd(8)}  ${plain(kind).padEnd(16)}  ${plain(message)}\n`;
