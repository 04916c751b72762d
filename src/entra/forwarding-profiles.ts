import { converge, type Look } from './converge.ts';
import { permanent } from './failure.ts';
import { networkAccessUrl, type WriteOutcome, write } from './graph-call.ts';
import { type JsonRecord, textAt } from './json.ts';
import { readAll } from './paging.ts';
import type { Procedure } from './procedure.ts';
import { networkUrl } from './remote-network.ts';
import type { GraphSession } from './session.ts';
import type { WantedRemoteNetwork } from './types.ts';

/**
 * Ids of the wanted profiles, which belong to the tenant: chosen by traffic type, never by name. A disabled profile
 * drops everything at Microsoft's gateway; enabling it concerns the whole tenant and stays an administrator's act.
 */
export function* findProfiles(session: GraphSession, wanted: WantedRemoteNetwork): Procedure<string[]> {
  const url = networkAccessUrl(session, 'forwardingProfiles');
  const profiles = yield* readAll(session, { url, what: 'reading the traffic forwarding profiles' });
  return wanted.profiles.map((type) => enabledProfileId(session, profiles, type));
}

function enabledProfileId(session: GraphSession, profiles: readonly JsonRecord[], type: string): string {
  const profile = profiles.find(
    (candidate) =>
      textAt(candidate, 'trafficForwardingType')?.toLowerCase() === type && candidate['isCustomProfile'] !== true,
  );
  const id = profile && textAt(profile, 'id');
  if (profile === undefined || id === undefined) {
    throw permanent(
      'ENTRA_PROFILE_MISSING',
      `the tenant has no "${type}" traffic forwarding profile; check its Global Secure Access licence, or take "${type}" out of remote_network.profiles`,
    );
  }
  const state = textAt(profile, 'state') ?? 'no state';
  if (state.toLowerCase() !== 'enabled') {
    throw permanent(
      'ENTRA_PROFILE_DISABLED',
      `expected the "${type}" traffic forwarding profile to be enabled, got ${session.scrubber.quote(state)}: Microsoft would drop all its traffic; enable it in the Entra admin center under Global Secure Access > Connect > Traffic forwarding`,
    );
  }
  return id;
}

/**
 * Associates the profiles with the remote network. `create` makes the set exact; `adopt` only adds what is missing,
 * because the rest was somebody else's choice; `read-only` reports.
 */
export function* associateProfiles(
  session: GraphSession,
  networkId: string,
  profileIds: readonly string[],
  manage: WantedRemoteNetwork['manage'],
): Procedure<void> {
  if (profileIds.length === 0) return;
  const url = `${networkUrl(session, networkId)}/forwardingProfiles`;
  let tried: 'nothing' | 'set' | 'clear-and-set' = 'nothing';

  yield* converge(session, 'the profile association', function* (): Procedure<Look<undefined>> {
    const associated = yield* readAll(session, { url, what: 'reading the profiles of the remote network' });
    const present = associated.flatMap((profile) => textAt(profile, 'id') ?? []);
    const complete = profileIds.every((id) => present.includes(id));
    const exact = complete && present.every((id) => profileIds.includes(id));
    if (exact || (complete && manage !== 'create')) return { kind: 'reached', value: undefined };
    if (manage === 'read-only') throw notAssociated();
    const target = manage === 'create' ? profileIds : [...new Set([...present, ...profileIds])];
    if (tried === 'nothing') {
      return { kind: 'act', write: () => patchProfiles(session, url, target, () => (tried = 'set')) };
    }
    // Whether one PATCH replaces the set or adds to it is not documented; left-overs prove the latter.
    if (tried === 'set' && complete) {
      return { kind: 'act', write: () => clearThenSet(session, url, profileIds, () => (tried = 'clear-and-set')) };
    }
    return { kind: 'wait' };
  });
}

function* patchProfiles(
  session: GraphSession,
  url: string,
  ids: readonly string[],
  accepted: () => void,
): Procedure<WriteOutcome> {
  // `[{}]` is how an empty set is written.
  const value = ids.length === 0 ? [{}] : ids.map((id) => ({ id }));
  const outcome = yield* write(session, {
    method: 'PATCH',
    url,
    what: 'associating profiles with the remote network',
    body: { '@context': '#$delta', value },
  });
  if (outcome.kind === 'accepted') accepted();
  return outcome;
}

function* clearThenSet(
  session: GraphSession,
  url: string,
  ids: readonly string[],
  accepted: () => void,
): Procedure<WriteOutcome> {
  const cleared = yield* patchProfiles(session, url, [], () => undefined);
  return cleared.kind === 'accepted' ? yield* patchProfiles(session, url, ids, accepted) : cleared;
}

const notAssociated = () =>
  permanent(
    'ENTRA_PROFILE_NOT_ASSOCIATED',
    'the remote network lacks a profile of remote_network.profiles and manage is read-only; assign it in the Entra admin center under Global Secure Access > Connect > Traffic forwarding, or set manage to adopt',
  );
