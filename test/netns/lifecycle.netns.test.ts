import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StatusView } from '../../src/admin/wire.ts';
import { MICROSOFT_PREFIXES } from '../../src/lab/microsoft-prefixes.ts';
import { Bird } from './bird.ts';
import { BRANCH_ASN, manualBranch, PSK } from './branch-config.ts';
import { eventually } from './eventually.ts';
import { run } from './process.ts';
import { routes } from './routes.ts';
import { snapshot } from './snapshot.ts';
import { StrongSwan } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { runtimeDirectory, Tunwrightd } from './tunwrightd.ts';

/** 10 s of silence, then the retransmissions of the probe. */
const SILENCE_NOTICED_MS = 30_000;

describe('a branch with two zones', () => {
  let topology: Topology;
  let responders: StrongSwan[];
  let speakers: Bird[];
  let daemon: Tunwrightd;
  let before: string;

  beforeEach(async () => {
    topology = await Topology.create();
    responders = [];
    speakers = [];
    for (const zone of topology.zones) {
      responders.push(
        await StrongSwan.start(topology, `zone${zone.number}`, {
          namespace: zone.namespace,
          local: zone.endpoint,
          remoteId: ADDRESS.branchPublic,
          psk: PSK,
          routes: [ADDRESS.branchBgp],
        }),
      );
      // A speaker that has not noticed our death refuses the new session (RFC 4271 §6.8) until a KEEPALIVE of the old one
      // is answered by a reset.
      speakers.push(await Bird.start(topology, zone, { branchAsn: BRANCH_ASN, keepaliveSec: 5 }));
    }
    await othersBelongings(topology);
    before = await snapshot(topology.namespace('branch'));
    daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, topology.zones) });
    await converged(daemon);
  });
  afterEach(() => topology.remove());

  it('SIGTERM: within 5 s the kernel is as before, both peers have heard of it, and the exit code is 0', async () => {
    expect(await snapshot(topology.namespace('branch'))).not.toBe(before);

    const started = performance.now();
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - started).toBeLessThan(5_000);

    expect(await snapshot(topology.namespace('branch'))).toBe(before);
    expect(await readdir(runtimeDirectory(topology))).toEqual([]);
    for (const responder of responders) expect(await responder.sas()).toEqual([]);
    for (const speaker of speakers) {
      const { state } = await speaker.session();
      expect(state).toBe('Passive');
      expect(await speaker.log()).toContain('Received: Administrative shutdown');
    }
  });

  it.each([
    ['a second daemon', ['--runtime-dir', 'elsewhere']],
    ['--cleanup', ['--cleanup']],
  ])('while a daemon runs, %s is refused and changes nothing', async (_, args) => {
    const held = await routes(topology.namespace('branch'));
    const intruder = await Tunwrightd.start(topology, {
      config: await manualBranch(topology, topology.zones),
      args: args.map((word) => (word === 'elsewhere' ? join(topology.directory, word) : word)),
    });
    expect(await intruder.exit).toEqual({ code: 9, signal: null });
    expect(intruder.log.map(({ msg }) => msg).join()).toContain('a tunwrightd runs in this network namespace already');
    expect(await routes(topology.namespace('branch'))).toEqual(held);
    expect(daemon.log.filter(({ evt }) => evt === 'fib-repaired')).toEqual([]);
    expect((await daemon.status()).health).toBe('ok');
  });

  it('kill -9: the next start takes over what is left, the peers keep one SA each, and SIGTERM then leaves nothing', async () => {
    const first = await Promise.all(responders.map((responder) => responder.sas()));
    await daemon.kill();
    expect(await snapshot(topology.namespace('branch'))).not.toBe(before);

    daemon.restart();
    await daemon.healthy(30_000);
    for (const [index, responder] of responders.entries()) {
      await eventually('the peer has one SA, a new one', 5_000, async () => {
        const sas = await responder.sas();
        return sas.length === 1 && sas[0]?.spiInitiator !== first[index]?.[0]?.spiInitiator;
      });
    }
    for (const speaker of speakers)
      expect(await speaker.session()).toMatchObject({ state: 'Established', exported: 25 });

    await daemon.stop();
    expect(await snapshot(topology.namespace('branch'))).toBe(before);
  });

  it('a zone dies without a word: the routes leave it, DPD notices, and they come back with it', async () => {
    const branch = topology.namespace('branch');
    // In this order, so that the kernel's FIN for the speaker's session does not get out.
    await responders[1]?.kill();
    await speakers[1]?.kill();
    await eventually(
      'no route leads to the dead zone',
      SILENCE_NOTICED_MS,
      async () => !(await usesDevice(branch, 'tw1')),
    );
    expect(await usesDevice(branch, 'tw0')).toBe(true);
    // the missing echo moves the routes; DPD follows, and ends the tunnel
    const isDead = ({ health, links }: StatusView) =>
      health === 'degraded' && links[0]?.tunnels[1]?.first_broken_layer === 'ike';
    const status = await daemon.waitUntil('the tunnel is given up', SILENCE_NOTICED_MS, isDead);
    expect(status.links[0]?.tunnels[1]?.zone).toBe(2);
    expect(status.links[0]?.tunnels[1]?.reason).toMatch(/203\.0\.113\.30/);

    await responders[1]?.start();
    await speakers[1]?.start();
    await converged(daemon, 60_000);
    expect(await usesDevice(branch, 'tw1')).toBe(true);
  });
});

/** A session is up, and the branch healthy, before its first UPDATE: waits until the kernel has every route of both zones. */
async function converged(daemon: Tunwrightd, deadlineMs = 20_000): Promise<void> {
  await daemon.waitUntil('both zones have told their routes', deadlineMs, ({ health, links }) => {
    const peers = links.flatMap(({ tunnels }) => tunnels.flatMap(({ bgp }) => bgp));
    return health === 'ok' && peers.every((peer) => peer.prefixes_accepted === MICROSOFT_PREFIXES.length);
  });
}

/** Whether an announced prefix is routed over the device. */
async function usesDevice(namespace: string, device: string): Promise<boolean> {
  const announced = new Set<string>(MICROSOFT_PREFIXES);
  return (await routes(namespace)).some(({ prefix, devices }) => announced.has(prefix) && devices.includes(device));
}

/** What other software owns on the same box, close to ours: none of it may change. */
async function othersBelongings(topology: Topology): Promise<void> {
  await topology.ip('branch', 'route add 10.250.0.0/16 via 192.0.2.1 proto 99');
  await topology.ip('branch', 'route add unreachable 10.251.0.0/16 table 7600');
  await topology.ip('branch', 'rule add pref 7600 from 10.251.0.0/16 lookup 7600');
  await topology.ip('branch', 'nexthop add id 4 via 192.0.2.1 dev wan0');
  await run('nft', ['add table inet others; add chain inet others input { type filter hook input priority 0; }'], {
    namespace: topology.namespace('branch'),
  });
}
