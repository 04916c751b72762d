import { converge, type Look } from './converge.ts';
import { permanent } from './failure.ts';
import { networkAccessUrl, type WriteOutcome, write } from './graph-call.ts';
import { type JsonRecord, textAt } from './json.ts';
import { readAll } from './paging.ts';
import { type Procedure, progress } from './procedure.ts';
import type { GraphSession } from './session.ts';
import type { WantedRemoteNetwork } from './types.ts';

const COLLECTION = 'connectivity/remoteNetworks';

export const networkUrl = (session: GraphSession, networkId: string): string =>
  networkAccessUrl(session, `${COLLECTION}/${encodeURIComponent(networkId)}`);

/** The id of the remote network of that name; created when `manage` is `create` and there is none. */
export function* ensureRemoteNetwork(session: GraphSession, wanted: WantedRemoteNetwork): Procedure<string> {
  let created = false;
  return yield* converge(session, `remote network "${wanted.name}"`, function* (): Procedure<Look<string>> {
    const found = yield* findByName(session, wanted.name);
    if (found !== undefined) {
      yield* checkRegion(session, found.network, wanted);
      return { kind: 'reached', value: found.id };
    }
    if (created) return { kind: 'wait' };
    if (wanted.manage !== 'create') throw missingNetwork(wanted);
    yield* progress('remote-network', `creating "${wanted.name}" in ${wanted.region}`);
    return { kind: 'act', write: () => create(session, wanted, () => (created = true)) };
  });
}

/** Names are not unique in Graph: two of the same name need a human. The service's own `$filter` is not relied on. */
function* findByName(
  session: GraphSession,
  name: string,
): Procedure<{ readonly id: string; readonly network: JsonRecord } | undefined> {
  const networks = yield* readAll(session, {
    url: networkAccessUrl(session, COLLECTION),
    what: 'reading the remote networks',
  });
  const matches = networks.flatMap((network) => {
    const id = textAt(network, 'id');
    return textAt(network, 'name') === name && id !== undefined ? [{ id, network }] : [];
  });
  if (matches.length > 1) {
    throw permanent(
      'ENTRA_NETWORK_AMBIGUOUS',
      `expected one remote network named "${name}", got ${matches.length} (${session.scrubber.quote(matches.map(({ id }) => id).join(', '))}); delete or rename all but one in the Entra admin center`,
    );
  }
  return matches[0];
}

/** A region cannot be changed, and a network may carry more than our links, so it is never deleted for it. */
function* checkRegion(session: GraphSession, network: JsonRecord, wanted: WantedRemoteNetwork): Procedure<void> {
  const held = textAt(network, 'region');
  if (held === undefined || held === 'unknownFutureValue') return;
  if (held.toLowerCase() === wanted.region.toLowerCase()) return;
  const region = session.scrubber.quote(held);
  const sentence = `remote network "${wanted.name}" is in ${region}, not in ${wanted.region}`;
  if (wanted.manage !== 'create') return yield* progress('remote-network', `${sentence}; kept as it is`);
  throw permanent(
    'ENTRA_REGION_DIFFERS',
    `${sentence}, and a region cannot be changed; set remote_network.region to ${region}, or choose another name`,
  );
}

function* create(session: GraphSession, wanted: WantedRemoteNetwork, accepted: () => void): Procedure<WriteOutcome> {
  const outcome = yield* write(session, {
    method: 'POST',
    url: networkAccessUrl(session, COLLECTION),
    what: `creating remote network "${wanted.name}"`,
    body: { name: wanted.name, region: wanted.region },
  });
  if (outcome.kind === 'accepted') accepted();
  return outcome;
}

const missingNetwork = (wanted: WantedRemoteNetwork) =>
  permanent(
    'ENTRA_NETWORK_MISSING',
    `the tenant has no remote network named "${wanted.name}" and manage is ${wanted.manage}; create it in the Entra admin center, correct the name, or set manage to create`,
  );
