import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { nodeCrypto, systemRandom } from '../../src/crypto/node.ts';
import { ESP_MIX, IKE_MIX, IkeConnection } from '../../src/ike/index.ts';
import { NotifyType } from '../../src/ike/wire/iana.ts';
import { decodeMessage, findNotify } from '../../src/ike/wire/message.ts';
import { fromHex, toHex } from '../../src/lib/bytes.ts';
import { ip } from '../../src/lib/ip.ts';
import { Secret } from '../../src/lib/secret.ts';
import { instant } from '../../src/lib/time.ts';
import { ROOT } from './repository.ts';

export interface HalfOpenOptions {
  readonly namespace: string;
  readonly local: string;
  readonly remote: string;
}

/** Begins IKE SAs and never finishes one, until the peer demands a cookie; gives how many it took. */
export async function openUntilCookie({ namespace, local, remote }: HalfOpenOptions): Promise<number> {
  const driver = join(ROOT, 'test', 'netns', 'drivers', 'udp-ask.mjs');
  const argv = ['netns', 'exec', namespace, process.execPath, driver, local, remote, '500'];
  const child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    let opened = 1;
    child.stdin.write(`${toHex(firstRequest(local, remote))}\n`);
    for await (const answer of createInterface({ input: child.stdout })) {
      const message = decodeMessage(fromHex(answer));
      if (message.ok && findNotify(message.value.payloads, NotifyType.Cookie) !== undefined) return opened;
      opened += 1;
      child.stdin.write(`${toHex(firstRequest(local, remote))}\n`);
    }
    throw new Error(`the driver ended after ${opened} requests without a cookie`);
  } finally {
    child.stdin.end();
  }
}

/** A complete IKE_SA_INIT request with an SPI of its own. */
function firstRequest(local: string, remote: string): Uint8Array {
  const [localAddress, remoteAddress] = [ip(local), ip(remote)];
  const connection = new IkeConnection(
    {
      role: 'initiator',
      localAddress,
      remoteAddress,
      localId: { type: 'ipv4', address: localAddress },
      remoteId: 'any',
      psk: Secret.fromText('never used'),
      ikeSuites: IKE_MIX.slice(7),
      espSuites: ESP_MIX.slice(5),
      ikeLifetimeMs: 3_600_000,
      childLifetimeMs: 3_600_000,
      dpdIntervalMs: 60_000,
      encapsulation: 'auto',
      exportKeys: false,
    },
    { crypto: nodeCrypto, random: systemRandom },
  );
  connection.handle({ kind: 'start' }, instant(0));
  const out = connection.poll();
  if (out?.kind !== 'send') throw new Error(`expected a first request, got ${out?.kind}`);
  return out.bytes;
}
