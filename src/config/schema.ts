import { z } from 'zod';
import { bgpSchema } from './bgp-schema.ts';
import { DEVICE_VENDORS, REGIONS } from './graph-names.ts';
import {
  directory,
  duration,
  filePath,
  flag,
  integer,
  interfaceName,
  ipv4,
  ipv4OrAuto,
  list,
  localIdentity,
  MAX_ASN,
  name,
  octets,
  origin,
  prefixText,
  probeUrl,
  remoteIdentity,
  remoteNetworkName,
  socketAddress,
  tenant,
  uuid,
} from './scalars.ts';
import {
  DH_GROUPS,
  IKE_ENCRYPTIONS,
  IKE_INTEGRITIES,
  IKE_SUITE_NAMES,
  IPSEC_ENCRYPTIONS,
  IPSEC_SUITE_NAMES,
  PFS_GROUPS,
} from './suites.ts';

const LOGIN = 'https://login.microsoftonline.com';
const GRAPH = 'https://graph.microsoft.com';

const keysOf = <K extends string>(table: Readonly<Record<K, unknown>>) => z.enum(Object.keys(table) as [K, ...K[]]);

const connector = z.strictObject({
  name: name('the name of the connector', 'contoso'),
  type: z.enum(['entra-gsa', 'defender']),
  tenant_id: tenant,
  client_id: uuid('the application (client) id'),
  credential: z
    .strictObject({
      secret_file: filePath.optional(),
      certificate_file: filePath.optional(),
      key_file: filePath.optional(),
      pkcs12_file: filePath.optional(),
      passphrase_file: filePath.optional(),
    })
    .meta({ examples: [{ secret_file: '/etc/tunwright/entra' }] }),
  endpoints: z
    .strictObject({
      login: origin('the login endpoint', LOGIN).prefault(LOGIN),
      graph: origin('the Graph endpoint', GRAPH).prefault(GRAPH),
    })
    .prefault({}),
});

const wan = z.strictObject({
  name: name('the name of the WAN', 'fiber'),
  interface: interfaceName,
  public_ip: ipv4OrAuto('the address Microsoft sees').prefault('auto'),
  nat_search: z.enum(['known', 'near', 'all']).default('near'),
  priority: integer('the priority', 1, 255).default(1),
});

const network = z.strictObject({
  name: name('the name of the network', 'staff'),
  interface: interfaceName,
  prefixes: list(prefixText).min(1),
  advertise: flag('whether BGP may export the network').default(true),
});

const remoteNetwork = z.strictObject({
  connector: name('the name of a connector', 'contoso').optional(),
  name: remoteNetworkName.optional(),
  region: z
    .enum(REGIONS)
    .meta({ examples: ['franceCentral'] })
    .optional(),
  profiles: list(z.enum(['m365', 'internet']))
    .min(1)
    .default(['m365']),
  manage: z.enum(['create', 'adopt', 'read-only', 'manual']).default('create'),
});

const ikeSuite = z.union([
  z.enum(IKE_SUITE_NAMES),
  z.strictObject({
    encryption: z.enum(IKE_ENCRYPTIONS).meta({ examples: ['aes256'] }),
    integrity: z.enum(IKE_INTEGRITIES).meta({ examples: ['sha384'] }),
    dh: keysOf(DH_GROUPS).meta({ examples: ['ecp384'] }),
  }),
]);
const ipsecSuite = z.union([
  z.enum(IPSEC_SUITE_NAMES),
  z.strictObject({
    encryption: z.enum(IPSEC_ENCRYPTIONS).meta({ examples: ['gcmAes256'] }),
    pfs: keysOf(PFS_GROUPS).meta({ examples: ['ecp384'] }),
  }),
]);

const peer = z.strictObject({
  zone: z.literal([1, 2]),
  endpoint: ipv4('the address of the IKE peer', '198.51.100.20'),
  asn: integer("the peer's AS number", 1, MAX_ASN, 65_476),
  bgp_ip: ipv4("the peer's BGP address", '169.254.21.2'),
  psk_file: filePath,
  bgp_password_file: filePath.optional(),
});

const REPLAY_WINDOWS = Array.from({ length: 11 }, (_, i) => 64 << i);

const link = z.strictObject({
  name: name('the name of the link', 'fiber'),
  wan: name('the name of a WAN', 'fiber'),
  bandwidth: z
    .literal([250, 500, 750, 1000])
    .meta({ examples: [500] })
    .optional(),
  redundancy: z.enum(['none', 'zone']).default('zone'),
  device_vendor: z.enum(DEVICE_VENDORS).default('other'),
  weight: integer('the share of this link beside others', 1, 255).default(1),
  mtu: integer('the MTU of the tunnel interface in octets', 576, 9_000).default(1_380),
  ike: z
    .strictObject({
      suite: ikeSuite.default('mix8'),
      lifetime: duration('the lifetime of the IKE SA', '10s', '30d', '8h').prefault('8h'),
      dpd: duration('the silence after which the peer is probed', '1s', '1h', '10s').prefault('10s'),
      local_id: localIdentity.prefault('auto'),
      remote_id: remoteIdentity.prefault('auto'),
      encap: z.enum(['auto', 'udp', 'esp']).default('auto'),
      fragment_size: integer('the octets of the largest IP packet with an IKE message', 256, 1_500, 1_280).default(
        1_280,
      ),
      pq: z.enum(['off', 'prefer']).default('off'),
    })
    .prefault({}),
  ipsec: z
    .strictObject({
      suite: ipsecSuite.default('mix6'),
      lifetime: duration('the lifetime of the ESP SAs', '10s', '30d', '1h').prefault('1h'),
      lifetime_bytes: octets('what an ESP SA may carry in one direction', '1MB', '1PB', '100GB').optional(),
      lifetime_packets: integer('how many packets an ESP SA may carry in one direction', 1_000, 1e15, 1e9).optional(),
      replay_window: z.literal(REPLAY_WINDOWS).default(4_096),
      copy_dscp: z.boolean().default(false),
      esn: z.enum(['offer', 'require', 'off']).default('offer'),
      accept_pfs: list(keysOf(PFS_GROUPS))
        .meta({ examples: [['ecp384', 'ecp256']] })
        .optional(),
    })
    .prefault({}),
  data_plane: z
    .strictObject({
      threads: integer('the threads of each tunnel', 1, 16).default(1),
      processors: list(integer('the number of a processor', 0, 1_023)).default([]),
      busy_poll_us: integer('the microseconds that a thread looks for packets before it sleeps', 0, 1_000).default(0),
      without: list(z.enum(['tun-tso', 'tun-uso', 'udp-gso', 'udp-gro'])).default([]),
      cipher: z.enum(['openssl', 'vaes']).default('openssl'),
    })
    .prefault({}),
  psk: z
    .strictObject({
      source: z.enum(['generated', 'file']).default('generated'),
      rotate: duration('the age at which keys are replaced', '1h', '3650d', '90d').optional(),
      files: list(filePath).default([]),
    })
    .prefault({}),
  bgp: bgpSchema,
  peers: list(peer).default([]),
});

const policy = z.strictObject({
  id: integer('the id of the rule', 1, 65_535, 10),
  from: list(name('the name of a network', 'staff')).min(1),
  to: z.union([z.literal('learned'), z.strictObject({ prefixes: list(prefixText).min(1) })]),
  steer: z.strictObject({ wan: name('the name of a WAN', 'fiber') }).optional(),
  failure: z.enum(['closed', 'open']).default('closed'),
});

const probe = z.strictObject({
  name: name('the name of the probe', 'gsa'),
  per: z.literal('tunnel').default('tunnel'),
  http: probeUrl,
  every: duration('the interval between probes', '1s', '1h', '5s').prefault('5s'),
  fail_after: integer('failures in a row that mean broken', 1, 100).default(3),
  recover_after: integer('successes in a row that mean healed', 1, 100).default(5),
});

const ecmp = z
  .strictObject({
    resilient: flag('flows stay with their tunnel when another one returns').default(true),
    idle: duration('the silence after which flows may move to a returning tunnel', '1s', '1h', '60s').prefault('60s'),
    rebalance: z
      .union([z.literal('never'), duration('the imbalance after which live flows move too', '1s', '1d', '15m')])
      .default('never'),
  })
  .prefault({});

/**
 * The file as operators write it: snake_case, unknown keys refused, defaults filled in. What several keys must satisfy
 * together is in `checks.ts`; `build.ts` turns the outcome into `Config`.
 */
export const configSchema = z.strictObject({
  version: z.literal(1),
  site: z.strictObject({ name: name('the name of the site', 'lyon-01') }),
  connectors: list(connector).default([]),
  wans: list(wan).min(1),
  networks: list(network).default([]),
  remote_network: remoteNetwork,
  links: list(link).min(1),
  ecmp,
  policies: list(policy).default([]),
  probes: list(probe).default([]),
  telemetry: z.strictObject({ prometheus: socketAddress.optional() }).prefault({}),
  crypto: z.strictObject({ provider: z.enum(['node', 'noble']).default('node') }).prefault({}),
  debug: z.strictObject({ export_keys: directory.optional() }).prefault({}),
});

/** The file after the schema: shapes are right, names may still point nowhere. */
export type Draft = z.output<typeof configSchema>;
