import { z } from 'zod';
import {
  community,
  duration,
  flag,
  integer,
  ipv4,
  largeCommunity,
  list,
  MAX_ASN,
  name,
  prefixRange,
} from './scalars.ts';

const EXAMPLE = { local_ip: '169.254.21.1', peer_ip: '169.254.21.2', zone_peer_ip: '169.254.22.2', asn: 65_010 };

const action = z.enum(['accept', 'reject']);
const prefixes = list(prefixRange).min(1).optional();
const communities = list(community).min(1).optional();
const largeCommunities = list(largeCommunity).min(1).optional();
const med = integer('MULTI_EXIT_DISC, lower is better', 0, 4_294_967_295, 100).optional();

const importRule = z.strictObject({
  prefixes,
  as_path: z
    .strictObject({
      contains: integer('an AS number on the path', 1, MAX_ASN, 8_075).optional(),
      origin: integer('the last AS number of the path', 1, MAX_ASN, 8_075).optional(),
      longest: integer('the most hops', 1, 255, 5).optional(),
    })
    .optional(),
  communities,
  large_communities: largeCommunities,
  action,
  set: z
    .strictObject({
      preference: integer('the local preference, higher is better', 0, 4_294_967_295, 200).optional(),
      med,
    })
    .optional(),
});

const exportRule = z.strictObject({
  prefixes,
  action,
  set: z
    .strictObject({
      prepend: integer('how often our AS number is repeated', 1, 16, 2).optional(),
      med,
      communities,
      large_communities: largeCommunities,
    })
    .optional(),
});

const importPolicy = z.strictObject({
  max_prefixes: integer('the largest number of prefixes', 1, 1_000_000).default(10_000),
  beyond: z.enum(['warn', 'restart', 'down']).default('restart'),
  restart_after: duration('the pause after too many prefixes', '1m', '1d', '15m').prefault('15m'),
  rules: list(importRule)
    .meta({ examples: [[{ prefixes: ['40.96.0.0/13 le 24'], action: 'accept', set: { preference: 200 } }]] })
    .optional(),
});

const exportPolicy = z.strictObject({
  networks: list(name('the name of a network', 'staff')).optional(),
  rules: list(exportRule)
    .meta({ examples: [[{ prefixes: ['10.1.0.0/16 le 24'], action: 'accept', set: { prepend: 2 } }]] })
    .optional(),
});

/** `links[].bgp`. */
export const bgpSchema = z
  .strictObject({
    local_ip: ipv4("this box's BGP address", '169.254.21.1'),
    peer_ip: ipv4("Microsoft's BGP address in zone 1", '169.254.21.2'),
    zone_peer_ip: ipv4("Microsoft's BGP address in zone 2", '169.254.22.2').optional(),
    asn: integer('our AS number', 1, MAX_ASN, 65_010),
    hold: duration('the BGP hold time', '3s', '65535s', '180s').prefault('180s'),
    min_hold: duration('the shortest hold time that the peer may propose', '3s', '65535s', '3s').prefault('3s'),
    delay_open: duration("how long our OPEN waits for the peer's on a new connection", '0s', '240s', '0s').prefault(
      '0s',
    ),
    force: flag('accepts a hold time below 180s').default(false),
    echo: flag('asks the BGP speaker four times a second whether it is there (ICMP echo)').default(true),
    passive: flag('waits for the peer to connect').default(false),
    ttl_security: integer('the hops to the peer, which sends with TTL 255 (RFC 5082)', 1, 254).optional(),
    import: importPolicy.prefault({}),
    export: exportPolicy.optional(),
  })
  .meta({ examples: [EXAMPLE] });

export type ImportRuleDraft = z.output<typeof importRule>;
export type ExportRuleDraft = z.output<typeof exportRule>;
