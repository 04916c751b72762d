import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cipher, NativeAddon } from '../../src/io/native.ts';
import { manualBranch, PSK } from '../../test/netns/branch-config.ts';
import { eventually } from '../../test/netns/eventually.ts';
import { run } from '../../test/netns/process.ts';
import { ROOT } from '../../test/netns/repository.ts';
import { StrongSwan } from '../../test/netns/strongswan.ts';
import { TunnelEnd } from '../../test/netns/tunnel-end.ts';
import { Tunwrightd } from '../../test/netns/tunwrightd.ts';
import { type Rig, TUNNEL_MTU } from './rig.ts';

/** A tunnel that carries packets between the two inner addresses of a rig. */
export interface Running {
  /** The processes that move its packets, near end first. */
  readonly pids: readonly number[];
  /** What has to end by itself; everything else ends with the rig. */
  stop?(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  start(rig: Rig): Promise<Running>;
}

const SUITE = { ike: 'aes256-sha384-ecp384', esp: 'aes256gcm16-ecp384' };
const PROGRAMS = join(ROOT, '.setup', 'bench-programs');

/** The measure of all: ESP in userspace at both ends, as Debian ships it. */
const libipsec: Contender = {
  name: 'kernel-libipsec',
  async start(rig) {
    const { near, far, topology } = rig;
    const common = { ...SUITE, psk: PSK };
    const responder = { namespace: far.namespace, local: far.outer, remoteId: near.outer, routes: [near.inner] };
    const gateway = await StrongSwan.start(topology, 'far', { ...common, ...responder });
    const initiator = { namespace: near.namespace, local: near.outer, remoteId: far.outer, routes: [far.inner] };
    const branch = await StrongSwan.start(topology, 'near', { ...common, ...initiator, remote: far.outer });
    await branch.initiate();
    await rig.route('ipsec0');
    return { pids: [branch.pid, gateway.pid] };
  },
};

const openVpn: Contender = {
  name: 'OpenVPN',
  async start(rig) {
    const fingerprints = { near: await makeCertificate(rig, 'near'), far: await makeCertificate(rig, 'far') };
    const common = [
      '--dev',
      'tun0',
      '--dev-type',
      'tun',
      '--proto',
      'udp',
      '--port',
      '1194',
      '--tun-mtu',
      `${TUNNEL_MTU}`,
    ];
    const cipher = [
      '--data-ciphers',
      'AES-256-GCM',
      '--mssfix',
      '0',
      '--disable-dco',
      '--verb',
      '1',
      '--allow-compression',
      'no',
    ];
    const start = (end: 'near' | 'far', role: readonly string[]) => {
      const other = end === 'near' ? 'far' : 'near';
      const keys = [
        '--cert',
        certificateFile(rig, end),
        '--key',
        keyFile(rig, end),
        '--peer-fingerprint',
        fingerprints[other],
      ];
      const addresses = [
        '--local',
        rig[end].outer,
        '--remote',
        rig[other].outer,
        '--ifconfig',
        rig[end].inner,
        rig[other].inner,
      ];
      return rig.start(end, 'openvpn', [...common, ...cipher, ...keys, ...addresses, ...role]);
    };
    const far = await start('far', ['--tls-server', '--dh', 'none']);
    const near = await start('near', ['--tls-client']);
    for (const { lines } of [near, far]) {
      await eventually('OpenVPN is up', 20_000, () =>
        lines.some((line) => line.includes('Initialization Sequence Completed')),
      );
    }
    await rig.route('tun0');
    return { pids: [near.pid, far.pid] };
  },
};

const wireGuard: Contender = {
  name: 'wireguard-go',
  async start(rig) {
    const keys = { near: await makeWireGuardKey(rig, 'near'), far: await makeWireGuardKey(rig, 'far') };
    const pids: number[] = [];
    for (const [end, other] of [
      ['near', 'far'],
      ['far', 'near'],
    ] as const) {
      const { namespace } = rig[end];
      // Its control socket has this name in a folder that all namespaces share.
      const device = `wg-${process.pid}-${end}`;
      const daemon = await rig.start(end, 'wireguard-go', ['--foreground', device]);
      pids.push(daemon.pid);
      await eventually('wireguard-go listens', 10_000, () => run('wg', ['show', device], { namespace }));
      const peer = ['peer', keys[other].publicKey, 'allowed-ips', '0.0.0.0/0', 'endpoint', `${rig[other].outer}:51820`];
      await run('wg', ['set', device, 'listen-port', '51820', 'private-key', keys[end].file, ...peer], { namespace });
      await run('ip', ['-n', namespace, 'link', 'set', device, 'name', 'wg0']);
      await run('ip', ['-n', namespace, 'link', 'set', 'wg0', 'mtu', `${TUNNEL_MTU}`, 'up']);
    }
    await rig.route('wg0');
    return { pids };
  },
};

/** Every offload and no cryptography: the ceiling for a tunnel in userspace. */
const relay: Contender = {
  name: 'relay without cryptography',
  async start(rig) {
    const start = (end: 'near' | 'far') => {
      const { outer } = rig[end];
      const other = rig[end === 'near' ? 'far' : 'near'].outer;
      return rig.start(end, join(PROGRAMS, 'relay'), ['relay0', `${TUNNEL_MTU}`, outer, other, '5555'], /ready/);
    };
    const [near, far] = [await start('near'), await start('far')];
    await rig.route('relay0');
    return { pids: [near.pid, far.pid] };
  },
};

/** The packet path alone at both ends, with static keys. */
const packetPath = (name: string, cipher: Cipher): Contender => ({
  name,
  async start(rig) {
    const { near, far } = rig;
    const tuning = { threads: 1, processors: [], busyPollUs: 0, cipher };
    const there = { spi: 0x1001, key: '11'.repeat(32), salt: '01020304' };
    const back = { spi: 0x1002, key: '22'.repeat(32), salt: '05060708' };
    const common = { interface: 'tw0', mtu: TUNNEL_MTU, tuning };
    const ends = [
      await TunnelEnd.start(far.namespace, {
        ...{ ...common, local: far.outer, remote: near.outer, inbound: there, outbound: back, responder: true },
      }),
      await TunnelEnd.start(near.namespace, {
        ...{ ...common, local: near.outer, remote: far.outer, inbound: back, outbound: there, responder: false },
      }),
    ];
    await rig.route('tw0');
    const stop = async () => {
      for (const end of ends) await end.stop();
    };
    return { pids: ends.flatMap(({ pid }) => pid ?? []), stop };
  },
});

/** The whole daemon at the near end, a real strongSwan at the far end: its rate is the bound. */
const towardsStrongSwan: Contender = {
  name: 'tunwrightd to kernel-libipsec',
  async start(rig) {
    const { near, far, topology } = rig;
    const responder = { namespace: far.namespace, local: far.outer, remoteId: near.outer, routes: [near.inner] };
    const gateway = await StrongSwan.start(topology, 'far', { ...SUITE, psk: PSK, ...responder });
    const zone = { number: 1, namespace: far.namespace, endpoint: far.outer, bgp: far.inner } as const;
    const wans = [{ name: 'fiber', interface: 'direct0', public_ip: 'auto', priority: 1 }];
    const config = await manualBranch(topology, [zone], { top: { wans } });
    await run('ip', ['-n', near.namespace, 'addr', 'del', `${near.inner}/32`, 'dev', 'lo']);
    const daemon = await Tunwrightd.start(topology, { config });
    await daemon.waitUntil('the tunnel is up', 20_000, ({ links }) =>
      links.some(({ tunnels }) => tunnels.some(({ child }) => child.state === 'established')),
    );
    return { pids: [daemon.pid, gateway.pid] };
  },
};

const tunwright = packetPath('tunwright', 'openssl');
/** The other cipher, where the processor has what it takes. */
const addon: NativeAddon = (await import(join(ROOT, 'dist/io/addon.js'))).loadAddon();
const withVaes = addon.vaesStatus() === 'admitted' ? [packetPath('tunwright, vaes', 'vaes')] : [];

export const CONTENDERS: readonly Contender[] = [
  ...[libipsec, openVpn, wireGuard, relay, tunwright],
  ...withVaes,
  towardsStrongSwan,
];

const certificateFile = (rig: Rig, end: string): string => join(rig.topology.directory, `${end}.crt`);
const keyFile = (rig: Rig, end: string): string => join(rig.topology.directory, `${end}.key`);

/** Self-signed; gives its SHA-256 fingerprint, which the other end trusts. */
async function makeCertificate(rig: Rig, end: string): Promise<string> {
  const files = ['-keyout', keyFile(rig, end), '-out', certificateFile(rig, end)];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1', '-nodes', '-days', '2'];
  await run('openssl', ['req', ...kind, '-subj', `/CN=${end}`, ...files]);
  const text = await run('openssl', ['x509', '-in', certificateFile(rig, end), '-noout', '-sha256', '-fingerprint']);
  return text.trim().split('=')[1] ?? '';
}

async function makeWireGuardKey(rig: Rig, end: string): Promise<{ file: string; publicKey: string }> {
  const file = join(rig.topology.directory, `${end}.wg`);
  const key = (await run('wg', ['genkey'])).trim();
  await writeFile(file, key, { mode: 0o600 });
  return { file, publicKey: (await run('sh', ['-c', `wg pubkey < ${file}`])).trim() };
}
