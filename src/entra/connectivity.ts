import { elapsedMs } from '../lib/time.ts';
import type { HeldLink } from './device-link.ts';
import { transient } from './failure.ts';
import { readJson } from './graph-call.ts';
import { recordsAt, textAt } from './json.ts';
import { zonesFromGraph } from './mapping.ts';
import { currentTime, type Procedure, progress, sleep } from './procedure.ts';
import { quote } from './quote.ts';
import { networkUrl } from './remote-network.ts';
import type { GraphSession } from './session.ts';
import type { RegisteredLink } from './types.ts';

const FIRST_POLL_MS = 5_000;
const LONGEST_POLL_MS = 30_000;
const POLL_GROWTH = 1.5;
/** Microsoft publishes no figure for how long a gateway takes; after this it is reported and tried again. */
const GIVE_UP_MS = 900_000;

/** Waits until Microsoft has given every link its endpoints, 5 s to 30 s between looks, 15 minutes at most. */
export function* awaitEndpoints(
  session: GraphSession,
  networkId: string,
  links: readonly HeldLink[],
): Procedure<RegisteredLink[]> {
  const startedAt = yield* currentTime();
  let told = '';
  for (let delayMs = FIRST_POLL_MS; ; delayMs = Math.min(LONGEST_POLL_MS, delayMs * POLL_GROWTH)) {
    const { registered, missing } = yield* readEndpoints(session, networkId, links);
    if (missing.length === 0) return registered;
    const detail = quote(missing.join('; '));
    if (elapsedMs(startedAt, yield* currentTime()) + delayMs > GIVE_UP_MS) {
      throw transient(
        'ENTRA_NO_ENDPOINTS',
        `Microsoft gave no usable endpoints within ${GIVE_UP_MS / 60_000} minutes (${detail}); look at the remote network in the Entra admin center; it is tried again`,
      );
    }
    if (detail !== told) yield* progress('endpoints', `waiting for Microsoft's endpoints: ${detail}`);
    told = detail;
    yield* sleep(delayMs);
  }
}

function* readEndpoints(
  session: GraphSession,
  networkId: string,
  links: readonly HeldLink[],
): Procedure<{ readonly registered: RegisteredLink[]; readonly missing: string[] }> {
  const configuration = yield* readJson(session, {
    url: `${networkUrl(session, networkId)}/connectivityConfiguration`,
    what: "reading Microsoft's half of the links",
  });
  const given = recordsAt(configuration, 'links');
  const registered: RegisteredLink[] = [];
  const missing: string[] = [];
  for (const { linkId, wanted } of links) {
    const zones = zonesFromGraph(wanted, given.find((link) => textAt(link, 'id') === linkId) ?? {});
    if ('missing' in zones) missing.push(zones.missing);
    else registered.push({ name: wanted.name, linkId, zones });
  }
  return { registered, missing };
}
