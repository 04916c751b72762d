import { checkBgpAddress, checkCpeAsn } from '../entra/validators.ts';
import { equalIp, formatIp, formatPrefix, hostPrefix, type IpAddress, prefixContains } from '../lib/ip.ts';
import type { ExportRuleDraft, ImportRuleDraft } from './bgp-schema.ts';
import { type Complaint, complaint, formatPath, type Path } from './issue.ts';
import type { Draft } from './schema.ts';

type Link = Draft['links'][number];

/** The hold time Microsoft's side proposes; below it a busy peer loses the session (RFC 4271 §10 suggests 90 s at least). */
const LEAST_HOLD_MS = 180_000;

const SIDES =
  'local_ip is this box, peer_ip and zone_peer_ip are Microsoft (in Graph, seen from the other side, peerIpAddress and localIpAddress)';

interface Claim {
  readonly address: IpAddress;
  readonly side: 'ours' | 'microsoft';
  readonly path: Path;
}

/** AS numbers, hold times and BGP addresses of all links. */
export function checkBgp(draft: Draft): readonly Complaint[] {
  const claims = draft.links.flatMap((link, i) => claimsOf(link, ['links', i, 'bgp']));
  return [
    ...draft.links.flatMap((link, i) => checkSession(draft, link, ['links', i])),
    ...claims.flatMap((claim) => checkPlacement(draft, claim)),
    ...checkDistinct(claims),
    ...draft.links.flatMap((link, i) => checkExports(draft, link, ['links', i, 'bgp', 'export', 'networks'])),
    ...draft.links.flatMap((link, i) => checkRules(link, ['links', i, 'bgp'])),
    ...draft.links.flatMap((link, i) => checkPeers(link, ['links', i, 'peers'])),
  ];
}

function claimsOf({ bgp }: Link, path: Path): Claim[] {
  const claims: Claim[] = [
    { address: bgp.local_ip, side: 'ours', path: [...path, 'local_ip'] },
    { address: bgp.peer_ip, side: 'microsoft', path: [...path, 'peer_ip'] },
  ];
  if (bgp.zone_peer_ip !== undefined)
    claims.push({ address: bgp.zone_peer_ip, side: 'microsoft', path: [...path, 'zone_peer_ip'] });
  return claims;
}

function checkSession(draft: Draft, { bgp }: Link, path: Path): Complaint[] {
  const complaints: Complaint[] = [];
  const asn = draft.remote_network.manage === 'manual' ? undefined : checkCpeAsn(bgp.asn);
  if (asn !== undefined) complaints.push(complaint([...path, 'bgp', 'asn'], asn));
  if (bgp.hold < LEAST_HOLD_MS && !bgp.force) {
    const message = `expected at least 180s, got ${bgp.hold / 1000}s: a dead tunnel is noticed by DPD and probes, not by the hold time; "force: true" beside it insists`;
    complaints.push(complaint([...path, 'bgp', 'hold'], message));
  }
  return complaints;
}

/** BGP must reach the peer through the tunnel: a LAN or WAN route to the address would win. */
function checkPlacement(draft: Draft, { address, side, path }: Claim): Complaint[] {
  const problem = checkBgpAddress(address);
  if (problem !== undefined) return [complaint(path, problem)];
  for (const network of draft.networks) {
    const lan = network.prefixes.find((prefix) => prefixContains(prefix, hostPrefix(address)));
    if (lan === undefined) continue;
    const hint = side === 'microsoft' ? `; if the two ends are swapped: ${SIDES}` : '';
    const message = `${formatIp(address)} lies in ${formatPrefix(lan)} of network "${network.name}": BGP addresses must be outside every LAN, e.g. in 169.254.0.0/16${hint}`;
    return [complaint(path, message)];
  }
  const wan = draft.wans.find(({ public_ip }) => public_ip !== 'auto' && equalIp(public_ip, address));
  return wan === undefined
    ? []
    : [
        complaint(
          path,
          `${formatIp(address)} is the public address of WAN "${wan.name}": BGP runs inside the tunnel on other addresses`,
        ),
      ];
}

/** Our address may serve several links; Microsoft's are each a host route on one tunnel. */
function checkDistinct(claims: readonly Claim[]): Complaint[] {
  const complaints: Complaint[] = [];
  for (const [i, claim] of claims.entries()) {
    const other = claims
      .slice(0, i)
      .find((each) => equalIp(each.address, claim.address) && !(each.side === 'ours' && claim.side === 'ours'));
    if (other === undefined) continue;
    const hint = other.side === claim.side ? 'each zone of each link needs its own' : SIDES;
    const message = `${formatIp(claim.address)} is also ${formatPath(other.path)}: ${hint}`;
    complaints.push(complaint(claim.path, message));
  }
  return complaints;
}

/** Azure's VPN gateways end a session on which more come. */
const MAX_ADVERTISED = 4_000;

function checkExports(draft: Draft, { bgp }: Link, path: Path): Complaint[] {
  const named = bgp.export?.networks;
  const exported = draft.networks.filter(({ name, advertise }) => named?.includes(name) ?? advertise);
  const count = exported.reduce((sum, { prefixes }) => sum + prefixes.length, 0);
  const many = `expected at most ${MAX_ADVERTISED} prefixes to announce, got ${count}: Microsoft ends sessions with more; summarise them`;
  const tooMany = count > MAX_ADVERTISED ? [complaint(path.slice(0, -2), many)] : [];
  return [...tooMany, ...(named ?? []).flatMap((name, i) => notAdvertised(draft, name, [...path, i]))];
}

/** A rule without a way to come to what stands behind it hides a mistake. */
function checkRules({ bgp }: Link, path: Path): Complaint[] {
  return [
    ...checkRow(bgp.import.rules ?? [], [...path, 'import', 'rules']),
    ...checkRow(bgp.export?.rules ?? [], [...path, 'export', 'rules']),
  ];
}

function checkRow(rules: readonly Rule[], path: Path): Complaint[] {
  return rules.flatMap((rule, i) => {
    const complaints: Complaint[] = [];
    if (rule.action === 'reject' && rule.set !== undefined) {
      const message = 'a rejected route gets nothing: remove "set", or accept the route';
      complaints.push(complaint([...path, i, 'set'], message));
    }
    if (isForAll(rule) && i < rules.length - 1) {
      const message = 'it fits every route, so that the rules after it are never reached: put it last';
      complaints.push(complaint([...path, i], message));
    }
    return complaints;
  });
}

type Rule = ImportRuleDraft | ExportRuleDraft;

const isForAll = (rule: Rule): boolean =>
  Object.entries(rule).every(([key, part]) => key === 'action' || key === 'set' || part === undefined);

function notAdvertised(draft: Draft, name: string, path: Path): Complaint[] {
  const network = draft.networks.find((each) => each.name === name);
  if (network === undefined || network.advertise) return [];
  return [complaint(path, `network "${name}" has advertise: false: set it to true, or do not export it`)];
}

/** Peers given by hand repeat the addresses of `bgp`: they must agree. */
function checkPeers({ bgp, peers }: Link, path: Path): Complaint[] {
  const complaints: Complaint[] = [];
  for (const [i, peer] of peers.entries()) {
    const [key, wanted] =
      peer.zone === 1 ? (['peer_ip', bgp.peer_ip] as const) : (['zone_peer_ip', bgp.zone_peer_ip] as const);
    if (wanted !== undefined && !equalIp(peer.bgp_ip, wanted)) {
      const swapped = equalIp(peer.bgp_ip, bgp.local_ip) ? `: the two ends look swapped; ${SIDES}` : '';
      const message = `expected ${formatIp(wanted)} as in bgp.${key}, got ${formatIp(peer.bgp_ip)}${swapped}`;
      complaints.push(complaint([...path, i, 'bgp_ip'], message));
    }
    if (peer.asn === bgp.asn) {
      const message = `AS ${peer.asn} is also our own AS: both ends would be one AS; only external BGP is spoken`;
      complaints.push(complaint([...path, i, 'asn'], message));
    }
  }
  return complaints;
}
