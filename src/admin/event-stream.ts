import type { ServerResponse } from 'node:http';
import type { AgentViews, EventView } from './wire.ts';

/** A reader that falls this far behind is cut off; `Last-Event-ID` lets it catch up from the agent's memory. */
const MAX_BACKLOG_OCTETS = 1 << 20;

/** Writes the events after `afterId` and then each new one (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export function streamEvents(response: ServerResponse, views: AgentViews, afterId: number): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
  const send = (event: EventView) => {
    if (response.writableLength > MAX_BACKLOG_OCTETS) response.destroy();
    else response.write(`id: ${event.id}\nevent: ${oneLine(event.kind)}\ndata: ${JSON.stringify(event)}\n\n`);
  };
  for (const event of views.events(afterId)) send(event);
  response.on('close', views.subscribe(send));
}

/** A line break would start a new field. */
const oneLine = (text: string): string => text.replace(/[\r\n]/g, ' ');
