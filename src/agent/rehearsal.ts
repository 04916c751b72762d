import type { CryptoProvider, Random } from '../crypto/types.ts';
import { ESP_MIX, IKE_MIX, type IkeConfig, IkeConnection } from '../ike/index.ts';
import type { Endpoint } from '../lib/esp-sa.ts';
import { equalIp, ip } from '../lib/ip.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { Secret } from '../lib/secret.ts';
import { instant } from '../lib/time.ts';

/** After so many the engine has compiled what a handshake runs. */
const HANDSHAKES = 3;
const [BRANCH, GATEWAY] = [ip('192.0.2.1'), ip('192.0.2.2')];
const PSK_OCTETS = 32;
const NOW = instant(0);

interface Datagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
}

/**
 * Two IKE connections shake hands in memory before the first one on the wire: IKE works on this machine, and the peer of
 * that first one does not wait while the engine compiles what it has never run. Takes 70 ms.
 */
export function rehearseHandshakes(crypto: CryptoProvider, random: Random): Result<void, string> {
  for (let handshake = 0; handshake < HANDSHAKES; handshake++) {
    const problem = rehearseOne(crypto, random);
    if (problem !== undefined) return err(problem);
  }
  return ok(undefined);
}

/** A value says why it failed. */
function rehearseOne(crypto: CryptoProvider, random: Random): string | undefined {
  const psk = new Secret(random.bytes(PSK_OCTETS));
  const [branch, gateway] = [branchConfig(psk), gatewayConfig(psk)].map((config) => ({
    connection: new IkeConnection(config, { crypto, random }),
    address: config.localAddress,
  }));
  if (branch === undefined || gateway === undefined) return undefined;
  const onTheWay: Datagram[] = [];
  const drain = ({ connection, address }: typeof branch): void => {
    for (let out = connection.poll(); out !== undefined; out = connection.poll()) {
      if (out.kind === 'send') onTheWay.push({ from: { address, port: out.localPort }, to: out.to, bytes: out.bytes });
    }
  };
  for (const end of [gateway, branch]) {
    end.connection.handle({ kind: 'start' }, NOW);
    drain(end);
  }
  for (let datagram = onTheWay.shift(); datagram !== undefined; datagram = onTheWay.shift()) {
    const { from, to, bytes } = datagram;
    const end = equalIp(to.address, GATEWAY) ? gateway : branch;
    end.connection.handle({ kind: 'datagram', localPort: to.port === 500 ? 500 : 4500, from, bytes }, NOW);
    drain(end);
  }
  const { state, lastError } = branch.connection.view(NOW);
  return state === 'established' ? undefined : `an IKE handshake in memory ended ${state}: ${lastError ?? 'no reason'}`;
}

const SHARED = {
  ikeSuites: IKE_MIX.slice(-1),
  espSuites: ESP_MIX.slice(-1),
  ikeLifetimeMs: 3_600_000,
  childLifetimeMs: 3_600_000,
  dpdIntervalMs: 10_000,
  encapsulation: 'udp',
  exportKeys: false,
} as const;

const branchConfig = (psk: Secret): IkeConfig => ({
  ...SHARED,
  role: 'initiator',
  localAddress: BRANCH,
  remoteAddress: GATEWAY,
  localId: { type: 'ipv4', address: BRANCH },
  remoteId: { type: 'ipv4', address: GATEWAY },
  psk,
});

const gatewayConfig = (psk: Secret): IkeConfig => ({
  ...SHARED,
  role: 'responder',
  localAddress: GATEWAY,
  remoteAddress: undefined,
  localId: { type: 'ipv4', address: GATEWAY },
  remoteId: 'any',
  psk,
});
