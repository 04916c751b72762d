import { Secret } from '../lib/secret.ts';
import { converge, type Look } from './converge.ts';
import { permanent } from './failure.ts';
import { type WriteOutcome, write } from './graph-call.ts';
import { type JsonRecord, textAt } from './json.ts';
import { describeDifferences, type LinkDifference, linkDifferences } from './link-difference.ts';
import { keysOfGraphLink, toGraphLink } from './mapping.ts';
import { readAll } from './paging.ts';
import { type Procedure, progress } from './procedure.ts';
import { networkUrl } from './remote-network.ts';
import type { GraphSession } from './session.ts';
import type { WantedDeviceLink, WantedRemoteNetwork } from './types.ts';

/** A link that is in the tenant as wanted. */
export interface HeldLink {
  readonly linkId: string;
  readonly wanted: WantedDeviceLink;
  /** Zone 1 first. */
  readonly keys: readonly Secret[];
}

interface NamedLink {
  readonly linkId: string;
  readonly held: JsonRecord;
  readonly differences: readonly LinkDifference[];
}

/**
 * Brings one link into the tenant. Links cannot be changed in Graph, so another value means delete and create; only
 * links that bear the configured name are ever deleted, and with `read-only` nothing is written at all.
 */
export function* ensureDeviceLink(
  session: GraphSession,
  networkId: string,
  wanted: WantedDeviceLink,
  manage: WantedRemoteNetwork['manage'],
): Procedure<HeldLink> {
  const url = `${networkUrl(session, networkId)}/deviceLinks`;
  let created = false;
  return yield* converge(session, `device link "${wanted.name}"`, function* (): Procedure<Look<HeldLink>> {
    // A link that this run has created holds our keys, even where Graph does not show them.
    const target: WantedDeviceLink = created ? { ...wanted, psksAreFresh: false } : wanted;
    const named = yield* linksNamed(session, url, target);
    if (manage === 'read-only') return { kind: 'reached', value: yield* acceptAsIs(session, wanted, named[0]) };
    const kept = named.find(({ differences }) => differences.length === 0);
    const stale = named.find((link) => link !== kept);
    if (stale !== undefined) {
      yield* progress('device-link', `replacing "${wanted.name}": ${reasonToDelete(stale)}`);
      return { kind: 'act', write: () => remove(session, `${url}/${encodeURIComponent(stale.linkId)}`, wanted) };
    }
    if (kept !== undefined) return { kind: 'reached', value: holding(session, target, kept) };
    if (created) return { kind: 'wait' };
    yield* progress('device-link', `creating "${wanted.name}"`);
    return { kind: 'act', write: () => create(session, url, wanted, () => (created = true)) };
  });
}

function* linksNamed(session: GraphSession, url: string, wanted: WantedDeviceLink): Procedure<NamedLink[]> {
  const links = yield* readAll(session, { url, what: 'reading the device links' });
  return links.flatMap((held) => {
    const linkId = textAt(held, 'id');
    if (linkId === undefined || textAt(held, 'name') !== wanted.name) return [];
    return [{ linkId, held, differences: linkDifferences(wanted, held) }];
  });
}

/** Differences that leave the tunnel working are told and lived with. */
function* acceptAsIs(
  session: GraphSession,
  wanted: WantedDeviceLink,
  link: NamedLink | undefined,
): Procedure<HeldLink> {
  if (link === undefined) {
    throw permanent(
      'ENTRA_LINK_MISSING',
      `the remote network has no device link named "${wanted.name}" and manage is read-only; create it in the Entra admin center, or set manage to create`,
    );
  }
  const breaking = link.differences.filter(({ breaksTunnel }) => breaksTunnel);
  if (breaking.length > 0) {
    throw permanent(
      'ENTRA_LINK_DIFFERS',
      `device link "${wanted.name}" differs and manage is read-only: ${describeDifferences(breaking)}; correct the configuration or the link`,
    );
  }
  if (link.differences.length > 0) {
    yield* progress('device-link', `"${wanted.name}" differs, kept as it is: ${describeDifferences(link.differences)}`);
  }
  return holding(session, wanted, link);
}

function holding(session: GraphSession, wanted: WantedDeviceLink, { linkId, held }: NamedLink): HeldLink {
  if (wanted.psksAreFresh !== true) return { linkId, wanted, keys: wanted.psks };
  const shown = keysOfGraphLink(held, wanted.psks.length).filter((key) => key !== undefined);
  const keys = shown.map((key) => Secret.fromText(key));
  for (const key of keys) session.scrubber.learn(key);
  return { linkId, wanted, keys };
}

const reasonToDelete = ({ differences }: NamedLink): string =>
  differences.length === 0 ? 'the tenant holds it twice' : describeDifferences(differences);

function* remove(session: GraphSession, url: string, wanted: WantedDeviceLink): Procedure<WriteOutcome> {
  return yield* write(session, { method: 'DELETE', url, what: `deleting device link "${wanted.name}"` });
}

function* create(
  session: GraphSession,
  url: string,
  wanted: WantedDeviceLink,
  accepted: () => void,
): Procedure<WriteOutcome> {
  const what = `creating device link "${wanted.name}"`;
  let outcome = yield* write(session, { method: 'POST', url, what, body: toGraphLink(wanted) });
  if (outcome.kind === 'refused' && refusesPfs14(outcome, wanted)) {
    // MODP-2048 has two names in Graph and only trying tells which one the service takes.
    const renamed: WantedDeviceLink = { ...wanted, ipsec: { ...wanted.ipsec, pfsGroup: 'pfs2048' } };
    outcome = yield* write(session, { method: 'POST', url, what, body: toGraphLink(renamed) });
  }
  if (outcome.kind === 'accepted') accepted();
  return outcome;
}

const refusesPfs14 = (outcome: Extract<WriteOutcome, { kind: 'refused' }>, wanted: WantedDeviceLink): boolean =>
  outcome.status === 400 && wanted.ipsec.pfsGroup === 'pfs14' && /pfsGroup/i.test(outcome.said);
