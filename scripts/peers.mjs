/** The real programs that the namespace tests run against, and whether this machine can run them at all. */
import { existsSync, readFileSync } from 'node:fs';
import { run, StepError } from './steps.mjs';

/** Debian and Ubuntu names. Nothing is stopped, masked or configured: each test starts its own instances in its own namespaces. */
const PACKAGES = [
  // strongSwan: charon-systemd runs without systemd; kernel-libipsec (ESP in userspace) is in libcharon-extra-plugins.
  ...[
    'strongswan-swanctl',
    'charon-systemd',
    'libcharon-extra-plugins',
    'libstrongswan-standard-plugins',
    'libstrongswan-extra-plugins',
  ],
  ...['bird2', 'frr', 'gobgpd', 'exabgp', 'bgpdump'],
  ...['iproute2', 'nftables', 'iputils-ping', 'iperf3', 'tcpdump', 'tshark', 'libcap2-bin', 'util-linux'],
  // Scapy is a third implementation of ESP; it encrypts with python3-cryptography.
  ...['python3-scapy', 'python3-cryptography'],
  // The native tests link the data plane's core without Node.
  ...['libssl-dev', 'make'],
];

/** Tunnels that the benches measure us beside. */
export const BENCH_PACKAGES = ['openvpn', 'wireguard-go', 'wireguard-tools'];

/** @returns {string | undefined} why this machine cannot run the namespace tests; undefined: it can */
export function whyNoNamespaceTests() {
  if (process.getuid?.() !== 0) return 'they need root: run `sudo npm test`';
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  if (!/^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release))
    return 'the real peers are installed with apt-get: run them on Debian or Ubuntu';
  if (!existsSync('/dev/net/tun'))
    return 'there is no /dev/net/tun: load the tun module, or pass the device into the container';
  return undefined;
}

/**
 * Installs the packages that are missing.
 * @param {readonly string[]} more besides those of the namespace tests
 */
export async function installPeers(more = []) {
  const missing = await missingPackages([...PACKAGES, ...more]);
  if (missing.length === 0) return 'up to date';
  const first = await aptGet(['install', ...missing]);
  if (first.code !== 0) {
    // Most often the package lists are empty or old.
    await aptGet(['update']);
    const second = await aptGet(['install', ...missing]);
    if (second.code !== 0) throw new StepError(`apt-get could not install ${missing.join(' ')}`, second.output);
  }
  return `installed ${missing.length} packages`;
}

/** @param {readonly string[]} names */
async function missingPackages(names) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
  const { output } = await run('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Abbrev}\n', ...names]);
  const installed = new Set(
    output
      .split('\n')
      .filter((line) => / ii\s*$/.test(line))
      .map((line) => line.split(' ')[0]),
  );
  return names.filter((name) => !installed.has(name));
}

/** @param {readonly string[]} args */
function aptGet(args) {
  const options = ['-y', '-q', '--no-install-recommends', '-o', 'Dpkg::Use-Pty=0', '-o', 'DPkg::Lock::Timeout=120'];
  return run('apt-get', [...options, ...args], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
}
