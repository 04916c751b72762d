import { formatPrefix, prefixesOverlap } from '../lib/ip.ts';
import { checkBgp } from './bgp-checks.ts';
import { type Complaint, complaint, keyComplaint, type Path } from './issue.ts';
import type { Draft } from './schema.ts';
import { suggest } from './suggest.ts';

type Link = Draft['links'][number];
type Credential = Draft['connectors'][number]['credential'];

/** https://learn.microsoft.com/entra/global-secure-access/reference-limits-and-quotas */
const MAX_REGISTERED_LINKS = 4;
/** Child SA lifetime that Microsoft accepts, in milliseconds. */
const REGISTERED_LIFETIME_MS = { min: 301_000, max: 86_400_000 };

/** What several keys must satisfy together. Every name must resolve, every link must be able to come up. */
export function check(draft: Draft): readonly Complaint[] {
  return [
    ...checkUnique(draft),
    ...checkReferences(draft),
    ...draft.connectors.flatMap(({ credential }, i) => checkCredential(credential, ['connectors', i, 'credential'])),
    ...checkNetworks(draft),
    ...checkRemoteNetwork(draft),
    ...draft.links.flatMap((link, i) => checkLink(draft, link, ['links', i])),
    ...checkBgp(draft),
  ];
}

function checkUnique(draft: Draft): Complaint[] {
  const complaints: Complaint[] = [];
  const lists = { connectors: 'name', wans: 'name', networks: 'name', links: 'name', policies: 'id', probes: 'name' };
  for (const [list, key] of Object.entries(lists)) {
    const seen = new Map<unknown, number>();
    for (const [i, item] of draft[list as keyof typeof lists].entries()) {
      const value = 'id' in item ? item.id : item.name;
      const first = seen.get(value);
      if (first === undefined) seen.set(value, i);
      else
        complaints.push(complaint([list, i, key], `"${value}" is taken by ${list}[${first}]: choose another ${key}`));
    }
  }
  return complaints;
}

function checkReferences(draft: Draft): Complaint[] {
  const wans = draft.wans.map((wan) => wan.name);
  const networks = draft.networks.map((network) => network.name);
  const complaints: (Complaint | undefined)[] = [];
  for (const [i, link] of draft.links.entries()) {
    complaints.push(unresolved(link.wan, wans, 'WAN', 'wans', ['links', i, 'wan']));
    for (const [j, name] of (link.bgp.export?.networks ?? []).entries())
      complaints.push(unresolved(name, networks, 'network', 'networks', ['links', i, 'bgp', 'export', 'networks', j]));
  }
  for (const [i, { from, steer }] of draft.policies.entries()) {
    for (const [j, name] of from.entries())
      complaints.push(unresolved(name, networks, 'network', 'networks', ['policies', i, 'from', j]));
    if (steer !== undefined)
      complaints.push(unresolved(steer.wan, wans, 'WAN', 'wans', ['policies', i, 'steer', 'wan']));
  }
  return complaints.filter((each) => each !== undefined);
}

function unresolved(
  name: string,
  known: readonly string[],
  what: string,
  list: string,
  path: Path,
): Complaint | undefined {
  if (known.includes(name)) return undefined;
  const near = suggest(name, known);
  const have = known.length === 0 ? `"${list}" is empty` : `"${list}" has ${known.join(', ')}`;
  return complaint(path, `no ${what} is named "${name}": ${near === undefined ? have : `did you mean "${near}"?`}`);
}

/** Exactly one kind, with both of its files. */
function checkCredential(credential: Credential, path: Path): Complaint[] {
  const { secret_file, certificate_file, key_file, pkcs12_file, passphrase_file } = credential;
  const certificate = certificate_file ?? key_file;
  const pkcs12 = pkcs12_file ?? passphrase_file;
  const kinds = [secret_file, certificate, pkcs12].filter((file) => file !== undefined).length;
  if (kinds !== 1) {
    const message = `expected one kind of credential, got ${kinds === 0 ? 'none' : kinds}: secret_file, or certificate_file with key_file, or pkcs12_file`;
    return [complaint(path, message)];
  }
  if (secret_file !== undefined) return [];
  return [complaint(path, 'certificates are not supported yet in this version: use secret_file with a client secret')];
}

function checkNetworks(draft: Draft): Complaint[] {
  const complaints: Complaint[] = [];
  const seen: { readonly name: string; readonly prefix: Draft['networks'][number]['prefixes'][number] }[] = [];
  for (const [i, { name, prefixes }] of draft.networks.entries()) {
    for (const [j, prefix] of prefixes.entries()) {
      const other = seen.find((each) => prefixesOverlap(each.prefix, prefix));
      if (other !== undefined) {
        const message = `${formatPrefix(prefix)} overlaps ${formatPrefix(other.prefix)} of network "${other.name}": a client must belong to one network`;
        complaints.push(complaint(['networks', i, 'prefixes', j], message));
      }
      seen.push({ name, prefix });
    }
  }
  return complaints;
}

function checkRemoteNetwork(draft: Draft): Complaint[] {
  const { connector, region, manage } = draft.remote_network;
  const complaints: Complaint[] = [];
  const add = (key: string, message: string) => complaints.push(complaint(['remote_network', key], message));
  const entra = draft.connectors.filter((each) => each.type === 'entra-gsa').map((each) => each.name);
  if (connector !== undefined && !entra.includes(connector)) {
    const missing = unresolved(connector, entra, 'connector of type entra-gsa', 'connectors', [
      'remote_network',
      'connector',
    ]);
    if (missing !== undefined) complaints.push(missing);
  }
  if (manage === 'manual') return complaints;
  const why = `with manage: ${manage} the remote network is registered through Microsoft Graph`;
  if (connector === undefined) add('connector', `"connector" is missing: ${why}; name one, or use manage: manual`);
  if (region === undefined) add('region', `"region" is missing: ${why}; name the Azure region next to the site`);
  if (draft.links.length > MAX_REGISTERED_LINKS) {
    const message = `expected at most ${MAX_REGISTERED_LINKS} links in one remote network, got ${draft.links.length}: split the site`;
    complaints.push(complaint(['links', MAX_REGISTERED_LINKS], message));
  }
  return complaints;
}

function checkLink(draft: Draft, link: Link, path: Path): Complaint[] {
  const rest = draft.remote_network.manage === 'manual' ? checkManual(link, path) : checkRegistered(link, path);
  return [...checkZones(link, [...path, 'bgp', 'zone_peer_ip']), ...rest];
}

function checkZones({ redundancy, bgp }: Link, path: Path): Complaint[] {
  if (redundancy === 'zone' && bgp.zone_peer_ip === undefined) {
    const message =
      '"zone_peer_ip" is missing: with redundancy: zone Microsoft has a BGP address in each zone; add it, or set redundancy: none';
    return [complaint(path, message)];
  }
  if (redundancy === 'none' && bgp.zone_peer_ip !== undefined) {
    const message = 'zone_peer_ip is used with redundancy: zone only: remove it, or set redundancy: zone';
    return [keyComplaint(path, message)];
  }
  return [];
}

/** Microsoft's half stands in `peers`. */
function checkManual(link: Link, path: Path): Complaint[] {
  const zones = link.redundancy === 'zone' ? [1, 2] : [1];
  const complaints: Complaint[] = [];
  for (const zone of zones) {
    if (link.peers.some((peer) => peer.zone === zone)) continue;
    const message = `no peer for zone ${zone}: with manage: manual and redundancy: ${link.redundancy} "peers" lists ${zones.length === 1 ? 'one peer, zone 1' : 'two peers, zones 1 and 2'}`;
    complaints.push(complaint([...path, 'peers'], message));
  }
  for (const [i, peer] of link.peers.entries()) {
    const at = [...path, 'peers', i];
    if (!zones.includes(peer.zone)) complaints.push(complaint([...at, 'zone'], 'zone 2 needs redundancy: zone'));
    if (link.peers.findIndex((other) => other.zone === peer.zone) !== i)
      complaints.push(complaint([...at, 'zone'], `zone ${peer.zone} is given twice: one peer for each zone`));
  }
  return complaints;
}

/** Microsoft's half comes from Graph, so what we send there must be complete and acceptable. */
function checkRegistered(link: Link, path: Path): Complaint[] {
  const complaints: Complaint[] = [];
  const add = (keys: Path, message: string) => complaints.push(complaint([...path, ...keys], message));
  if (link.peers.length > 0)
    complaints.push(
      keyComplaint(
        [...path, 'peers'],
        'peers are given by hand with manage: manual only: remove them, Microsoft Graph supplies them',
      ),
    );
  if (link.bandwidth === undefined)
    add(['bandwidth'], '"bandwidth" is missing: expected one of 250, 500, 750, 1000 (Mbps)');
  const { min, max } = REGISTERED_LIFETIME_MS;
  if (link.ipsec.lifetime < min || link.ipsec.lifetime > max) {
    const message = `expected 301s to 86400s (Microsoft accepts no other SA lifetime), got ${link.ipsec.lifetime / 1000}s`;
    add(['ipsec', 'lifetime'], message);
  }
  for (const phase of ['ike', 'ipsec'] as const) {
    if (link[phase].suite !== 'default') continue;
    const message =
      "Microsoft's default policy cannot be registered yet in this version: name one combination, such as mix8 with mix6";
    add([phase, 'suite'], message);
  }
  const keys = link.redundancy === 'zone' ? 2 : 1;
  if (link.psk.source === 'file' && link.psk.files.length !== keys)
    add(
      ['psk', 'files'],
      `expected ${keys} file${keys > 1 ? 's, zone 1 first' : ''}, got ${link.psk.files.length}: each zone has its own key`,
    );
  if (link.psk.source === 'generated' && link.psk.files.length > 0)
    complaints.push(
      keyComplaint(
        [...path, 'psk', 'files'],
        'files are read with source: file only: remove them, or set source: file',
      ),
    );
  return complaints;
}
