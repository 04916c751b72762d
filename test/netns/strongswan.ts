import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, Hopeless } from './eventually.ts';
import { type Exit, type RunningProcess, run } from './process.ts';
import type { Topology } from './topology.ts';
import { list, parseVici, text, type ViciSection } from './vici-text.ts';

/** The eight and six proposals of the documented suites, mix1 first. */
export const IKE_MIXES = [
  'aes128-sha256-ecp256',
  'aes128-sha256-ecp384',
  'aes128-sha384-ecp256',
  'aes128-sha384-ecp384',
  'aes256-sha256-ecp256',
  'aes256-sha256-ecp384',
  'aes256-sha384-ecp256',
  'aes256-sha384-ecp384',
] as const;
export const IPSEC_MIXES = [
  'aes128gcm16-modp2048',
  'aes128gcm16-ecp256',
  'aes128gcm16-ecp384',
  'aes256gcm16-modp2048',
  'aes256gcm16-ecp256',
  'aes256gcm16-ecp384',
] as const;

export interface StrongSwanOptions {
  readonly namespace: string;
  /** Own address and identity. */
  readonly local: string;
  readonly localId?: string;
  /** A responder accepts any address; an initiator calls this one. */
  readonly remote?: string;
  readonly remoteId: string;
  readonly psk: string;
  /** Comma-separated; an offer outside is refused. */
  readonly ike?: string;
  readonly esp?: string;
  /** Seconds; left out: as Azure has them, which is longer than any test. A rekey time of 0 means never. */
  readonly ikeRekeySec?: number;
  readonly ikeOverSec?: number;
  readonly childRekeySec?: number;
  readonly childLifeSec?: number;
  /** More settings of the child, such as `rekey_packets = 1000`. */
  readonly child?: string;
  /** Routes that lead into the tunnel device, set again at every start. */
  readonly routes?: readonly string[];
  /** Octets of the largest IP packet with an IKE message. */
  readonly fragmentSize?: number;
}

export interface IkeSaRecord {
  readonly state: string;
  readonly spiInitiator: string;
  readonly spiResponder: string;
  readonly remoteHost: string;
  readonly remotePort: number;
  /** In strongSwan's words: `AES_CBC-256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384`. */
  readonly suite: string;
  readonly children: readonly ChildSaRecord[];
}

export interface ChildSaRecord {
  readonly state: string;
  /** Seen from this strongSwan: its inbound SPI is the peer's outbound one. Eight hex digits. */
  readonly spiIn: string;
  readonly spiOut: string;
  /** `AES_GCM_16-256`, with the key exchange after the first rekey. */
  readonly suite: string;
  readonly udpEncapsulated: boolean;
  readonly packetsIn: number;
  readonly packetsOut: number;
}

/**
 * One charon with ESP in userspace (kernel-libipsec, device `ipsec0`), its state in a folder of its own.
 * One per namespace: all of its tunnels share the device.
 */
export class StrongSwan {
  readonly #topology: Topology;
  #options: StrongSwanOptions;
  readonly #directory: string;
  readonly #environment: Readonly<Record<string, string>>;
  #process: RunningProcess | undefined;

  private constructor(topology: Topology, name: string, options: StrongSwanOptions) {
    this.#topology = topology;
    this.#options = options;
    this.#directory = join(topology.directory, `strongswan-${name}`);
    this.#environment = {
      STRONGSWAN_CONF: join(this.#directory, 'strongswan.conf'),
      SWANCTL_DIR: join(this.#directory, 'swanctl'),
    };
  }

  static async start(topology: Topology, name: string, options: StrongSwanOptions): Promise<StrongSwan> {
    const started = new StrongSwan(topology, name, options);
    await mkdir(join(started.#directory, 'swanctl'), { recursive: true });
    await writeFile(
      started.#environment['STRONGSWAN_CONF'] ?? '',
      daemonConfig(started.#directory, options.fragmentSize),
    );
    await writeFile(join(started.#directory, 'swanctl', 'swanctl.conf'), connectionConfig(options));
    await started.start();
    return started;
  }

  async start(): Promise<void> {
    const started = this.#topology.start('/usr/sbin/charon-systemd', [], {
      namespace: this.#options.namespace,
      env: this.#environment,
    });
    this.#process = started;
    await eventually(`charon in ${this.#options.namespace} answers`, 10_000, async () => {
      if (!started.running) throw new Hopeless(`charon ended: ${started.lines.join('\n')}`);
      return (await this.swanctl('--stats')) !== '';
    });
    await this.swanctl('--load-all');
    for (const route of this.#options.routes ?? []) {
      await run('ip', ['-n', this.#options.namespace, 'route', 'replace', ...route.split(' '), 'dev', 'ipsec0']);
    }
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error('charon was not started');
    return this.#process.pid;
  }

  /** Deletes the SAs (the peer hears of it) and ends. */
  async stop(): Promise<Exit | undefined> {
    return this.#process?.stop('SIGTERM');
  }

  /** Ends without a word to the peer. */
  async kill(): Promise<Exit | undefined> {
    return this.#process?.stop('SIGKILL');
  }

  /** Replaces a part of the configuration; SAs that exist go on by the old one. */
  async reconfigure(changes: Partial<StrongSwanOptions>): Promise<void> {
    this.#options = { ...this.#options, ...changes };
    await writeFile(join(this.#directory, 'swanctl', 'swanctl.conf'), connectionConfig(this.#options));
    await this.swanctl('--load-all');
  }

  /** Begins a rekey, as its own timers would, and does not wait for its end. */
  async rekey(what: 'child' | 'ike'): Promise<void> {
    await this.swanctl('--rekey', ...(what === 'child' ? ['--child', 'any'] : ['--ike', 'gsa']));
  }

  async initiate(): Promise<void> {
    await this.swanctl('--initiate', '--child', 'any', '--timeout', '15');
  }

  async terminate(what: 'child' | 'ike' = 'ike'): Promise<void> {
    await this.swanctl('--terminate', ...(what === 'child' ? ['--child', 'any'] : ['--ike', 'gsa']), '--timeout', '5');
  }

  async sas(): Promise<IkeSaRecord[]> {
    const prefix = 'list-sa event';
    const events = (await this.swanctl('--list-sas', '--raw')).split('\n').filter((line) => line.startsWith(prefix));
    return events.flatMap((event) => list(parseVici(event.slice(prefix.length))).map(ikeSaRecord));
  }

  /** Any swanctl command on this instance. */
  async swanctl(...args: string[]): Promise<string> {
    return run('swanctl', [...args, '--uri', `unix://${this.#directory}/charon.vici`], { env: this.#environment });
  }
}

function ikeSaRecord(sa: ViciSection): IkeSaRecord {
  return {
    state: text(sa, 'state'),
    spiInitiator: text(sa, 'initiator-spi'),
    spiResponder: text(sa, 'responder-spi'),
    remoteHost: text(sa, 'remote-host'),
    remotePort: Number(text(sa, 'remote-port')),
    suite: [
      withKeySize(sa),
      ...['integ-alg', 'prf-alg', 'dh-group'].map((key) => text(sa, key)).filter((word) => word !== ''),
    ].join('/'),
    children: list(sa['child-sas']).map(childSaRecord),
  };
}

function childSaRecord(child: ViciSection): ChildSaRecord {
  return {
    state: text(child, 'state'),
    spiIn: text(child, 'spi-in').padStart(8, '0'),
    spiOut: text(child, 'spi-out').padStart(8, '0'),
    suite: [withKeySize(child), text(child, 'dh-group')].filter((word) => word !== '').join('/'),
    udpEncapsulated: text(child, 'encap') === 'yes',
    packetsIn: Number(text(child, 'packets-in')),
    packetsOut: Number(text(child, 'packets-out')),
  };
}

function withKeySize(section: ViciSection): string {
  const size = text(section, 'encr-keysize');
  return size === '' ? text(section, 'encr-alg') : `${text(section, 'encr-alg')}-${size}`;
}

function daemonConfig(directory: string, fragmentSize = 1280): string {
  // kernel-libipsec routes every selector into ipsec0 whatever install_routes says: its table's rule must stay below main's.
  return `
charon {
  load = random nonce openssl aes sha2 sha1 hmac kdf gcm drbg pem pkcs1 x509 pubkey constraints revocation kernel-libipsec kernel-netlink socket-default vici updown
  install_routes = no
  install_virtual_ip = no
  routing_table_prio = 40000
  fragment_size = ${fragmentSize}
  retransmit_tries = 4
  retransmit_timeout = 1.0
  retransmit_base = 1.5
  plugins { vici { socket = unix://${directory}/charon.vici } }
  filelog { main { path = ${directory}/charon.log
      flush_line = yes
      default = 1
      ike = 2
      chd = 1 } }
}
charon-systemd { journal { default = -1 } }
swanctl { load = random openssl pem pkcs1 x509 }
`;
}

/** As Azure behaves: any-to-any selectors, addresses as identities, no reauthentication, long lifetimes, DPD every 45 s. */
function connectionConfig(options: StrongSwanOptions): string {
  const localId = options.localId ?? options.local;
  return `
connections { gsa {
  version = 2
  local_addrs = ${options.local}
  remote_addrs = ${options.remote ?? '%any'}
  proposals = ${options.ike ?? IKE_MIXES.join(',')}
  mobike = no
  fragmentation = yes
  dpd_delay = 45s
  rekey_time = ${options.ikeRekeySec ?? 28_800}s
  over_time = ${options.ikeOverSec ?? 900}s
  rand_time = 0
  reauth_time = 0
  unique = replace
  local { auth = psk
    id = ${localId} }
  remote { auth = psk
    id = ${options.remoteId} }
  children { any {
    local_ts = 0.0.0.0/0
    remote_ts = 0.0.0.0/0
    esp_proposals = ${options.esp ?? IPSEC_MIXES.join(',')}
    mode = tunnel
    rekey_time = ${options.childRekeySec ?? 27_000}s
    life_time = ${options.childLifeSec ?? 28_800}s
    rand_time = 0
    ${options.child ?? ''}
    dpd_action = clear
    start_action = none } } } }
secrets { ike-1 { id-a = ${options.remoteId}
  id-b = ${localId}
  secret = "${options.psk}" } }
`;
}
