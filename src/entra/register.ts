import type { Secret } from '../lib/secret.ts';
import { awaitEndpoints } from './connectivity.ts';
import { ensureDeviceLink, type HeldLink } from './device-link.ts';
import { associateProfiles, findProfiles } from './forwarding-profiles.ts';
import { type Procedure, progress } from './procedure.ts';
import { ensureRemoteNetwork } from './remote-network.ts';
import type { GraphSession } from './session.ts';
import { requireOnboarded } from './tenant-status.ts';
import type { RegisteredLink, WantedRemoteNetwork } from './types.ts';

export interface Registration {
  readonly remoteNetworkId: string;
  readonly links: readonly RegisteredLink[];
  readonly psks: readonly { readonly link: string; readonly keys: readonly Secret[] }[];
}

/**
 * The whole sequence, each step idempotent: prove the credential, check the tenant, find the profiles, find or create
 * the network, associate, bring in the links, wait for Microsoft's endpoints. Nested creation in one request is not
 * used, because nothing says what remains of it when it fails half way.
 */
export function* register(session: GraphSession, wanted: WantedRemoteNetwork): Procedure<Registration> {
  yield* progress('token', `signing in at ${session.connector.loginEndpoint}`);
  yield* session.token.bearer(session);

  yield* progress('tenant', 'checking the tenant and its traffic forwarding profiles');
  yield* requireOnboarded(session);
  const profileIds = yield* findProfiles(session, wanted);

  yield* progress('remote-network', `looking for "${wanted.name}"`);
  const remoteNetworkId = yield* ensureRemoteNetwork(session, wanted);
  yield* associateProfiles(session, remoteNetworkId, profileIds, wanted.manage);

  const held: HeldLink[] = [];
  for (const link of wanted.links) {
    yield* progress('device-link', `looking for "${link.name}"`);
    held.push(yield* ensureDeviceLink(session, remoteNetworkId, link, wanted.manage));
  }
  const links = yield* awaitEndpoints(session, remoteNetworkId, held);
  return { remoteNetworkId, links, psks: held.map(({ wanted: { name }, keys }) => ({ link: name, keys })) };
}
