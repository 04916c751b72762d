import { permanent, transient } from './failure.ts';
import { type GraphCall, readJson } from './graph-call.ts';
import { type JsonRecord, recordsAt, textAt } from './json.ts';
import type { Procedure } from './procedure.ts';
import type { GraphSession } from './session.ts';

/** A tenant has tens of remote networks; more pages than this is a server that runs in circles. */
const MAX_PAGES = 50;

/** All items of a collection: follows `@odata.nextLink` verbatim, pages may be empty. */
export function* readAll(session: GraphSession, call: Omit<GraphCall, 'method' | 'body'>): Procedure<JsonRecord[]> {
  const items: JsonRecord[] = [];
  let url: string | undefined = call.url;
  for (let page = 0; url !== undefined; page++) {
    if (page === MAX_PAGES) {
      throw transient(
        'ENTRA_BAD_ANSWER',
        `Graph gave more than ${MAX_PAGES} pages while ${call.what}; the rest is not read`,
      );
    }
    const answer: JsonRecord = yield* readJson(session, { ...call, url });
    items.push(...recordsAt(answer, 'value'));
    url = textAt(answer, '@odata.nextLink');
    if (url !== undefined) refuseForeign(session, call.what, url);
  }
  return items;
}

/** The bearer goes to the configured Graph only, wherever a page points. */
function refuseForeign(session: GraphSession, what: string, nextLink: string): void {
  const origin = `${session.connector.graphEndpoint}/`;
  if (nextLink.startsWith(origin)) return;
  throw permanent(
    'ENTRA_FOREIGN_NEXT_LINK',
    `expected the next page at ${origin} while ${what}, got ${session.scrubber.quote(nextLink)}; the token is not sent there: check the graph endpoint of connector ${session.connector.name} and any proxy`,
  );
}
