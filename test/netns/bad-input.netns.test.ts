import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { StatusView } from '../../src/admin/wire.ts';
import { type BranchOptions, manualBranch, PSK, registeredBranch } from './branch-config.ts';
import { EntraSim } from './entra-sim.ts';
import { eventually } from './eventually.ts';
import { StrongSwan, type StrongSwanOptions } from './strongswan.ts';
import { ADDRESS, Topology } from './topology.ts';
import { type CommandResult, Tunwrightd } from './tunwrightd.ts';

/** Documented exit codes of the command line. */
const DOWN = 8;
const CONFIG_INVALID = 11;
/** Retries included, a daemon that cannot work has next to nothing to do. */
const BUSY_SHARE = 0.1;
const WATCH_MS = 4_000;
/** Five tries of a registration step, each with its connect timeout, come before it counts as failed. */
const DEADLINE_MS = 90_000;

/** Such daemons mostly wait, so the tests do it together: each in a topology of its own. */
const inTopology = (body: (topology: Topology) => Promise<void>) => async (): Promise<void> => {
  const topology = await Topology.create();
  try {
    await body(topology);
  } finally {
    await topology.remove();
  }
};

describe.concurrent('a tunnel that cannot come up', () => {
  it(
    'wrong pre-shared key',
    inTopology(async (topology) => {
      const daemon = await startAgainst(topology, { psk: 'not-the-one' });
      await expectSentence(daemon, tunnelReason, /pre-shared key/i);
    }),
  );

  it(
    'an IKE suite that the peer does not accept',
    inTopology(async (topology) => {
      const daemon = await startAgainst(topology, { ike: 'aes128-sha256-ecp256' });
      await expectSentence(daemon, tunnelReason, /NO_PROPOSAL_CHOSEN/);
    }),
  );

  it(
    'an IPsec suite that the peer does not accept',
    inTopology(async (topology) => {
      const daemon = await startAgainst(topology, { esp: 'aes128gcm16-modp2048' });
      await expectSentence(daemon, tunnelReason, /NO_PROPOSAL_CHOSEN/);
    }),
  );

  it(
    'nobody at the endpoint',
    inTopology(async (topology) => {
      const [zone] = topology.zones;
      const daemon = await Tunwrightd.start(topology, { config: await manualBranch(topology, [zone]) });
      await expectSentence(daemon, tunnelReason, /no answer from 198\.51\.100\.20 to IKE_SA_INIT/);
    }),
  );

  it(
    'no /dev/net/tun',
    inTopology(async (topology) => {
      const daemon = await startAgainst(
        topology,
        {},
        { through: ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', '-'] },
      );
      await expectSentence(daemon, tunnelReason, /\/dev\/net\/tun/);
    }),
  );

  it(
    'no CAP_NET_ADMIN',
    inTopology(async (topology) => {
      const daemon = await startAgainst(topology, {}, { through: ['setpriv', '--bounding-set', '-net_admin'] });
      await expectSentence(daemon, tunnelReason, /CAP_NET_ADMIN/);
    }),
  );
});

describe.concurrent('a registration that cannot succeed', () => {
  it(
    'the token lacks the permission',
    inTopology(async (topology) => {
      await EntraSim.start(topology, { roles: ['NetworkAccess.Read.All'] });
      const daemon = await Tunwrightd.start(topology, { config: await registeredBranch(topology) });
      await expectSentence(daemon, registrationDetail, /NetworkAccess\.ReadWrite\.All/);
    }),
  );

  it(
    'nobody listens where Graph should be',
    inTopology(async (topology) => {
      const daemon = await Tunwrightd.start(topology, { config: await registeredBranch(topology) });
      await expectSentence(daemon, registrationDetail, /20\.190\.129\.10.*ECONNREFUSED|ECONNREFUSED.*20\.190\.129\.10/);
    }),
  );

  it(
    'the network swallows what is sent to Graph',
    inTopology(async (topology) => {
      await topology.ip('router', 'route replace blackhole 20.190.129.10/32');
      const daemon = await Tunwrightd.start(topology, { config: await registeredBranch(topology) });
      await expectSentence(daemon, registrationDetail, /20\.190\.129\.10/);
    }),
  );
});

describe.concurrent('a configuration that cannot be used', () => {
  const cases: { name: string; text: string; place: RegExp; names: RegExp }[] = [
    { name: 'is not YAML', text: 'version: 1\nsite: { name: x\n', place: /:3:1: /, names: /not valid YAML/ },
    { name: 'has an unknown key', text: 'version: 1\nsiet: { name: x }\n', place: /:2:1/, names: /siet/ },
    { name: 'has a value of the wrong kind', text: 'version: one\n', place: /:1:10/, names: /version/ },
  ];

  it.each(cases)('$name: exit code 11, the place and what was expected', ({ text, place, names }) =>
    inTopology(async (topology) => {
      const daemon = await Tunwrightd.start(topology, { config: text });
      expect(await daemon.exit).toEqual({ code: CONFIG_INVALID, signal: null });
      const said = daemon.log.map(({ msg }) => msg).join('\n');
      expect(said).toMatch(place);
      expect(said).toMatch(names);
      expect(said).not.toMatch(/^\s+at /m);
    })(),
  );

  it(
    '--check says the same and starts nothing',
    inTopology(async (topology) => {
      const daemon = await Tunwrightd.start(topology, { config: 'version: 1\nsiet: { name: x }\n', args: ['--check'] });
      expect((await daemon.exit).code).toBe(CONFIG_INVALID);
      const good = await Tunwrightd.start(topology, {
        config: await manualBranch(topology, topology.zones),
        args: ['--check'],
      });
      expect((await good.exit).code).toBe(0);
    }),
  );

  it(
    'asks for an export of keys that the command line does not allow',
    inTopology(async (topology) => {
      const options: BranchOptions = { top: { debug: { export_keys: join(topology.directory, 'keys') } } };
      const daemon = await Tunwrightd.start(topology, {
        config: await manualBranch(topology, topology.zones, options),
      });
      expect((await daemon.exit).code).toBe(CONFIG_INVALID);
      expect(daemon.log.map(({ msg }) => msg).join('\n')).toContain('--allow-key-export');
    }),
  );
});

/** A branch with one zone whose responder is as `different` as the test wants. */
async function startAgainst(
  topology: Topology,
  different: Partial<StrongSwanOptions>,
  how: { through?: readonly string[] } = {},
): Promise<Tunwrightd> {
  const [zone] = topology.zones;
  await StrongSwan.start(topology, 'zone1', {
    namespace: zone.namespace,
    local: zone.endpoint,
    remoteId: ADDRESS.branchPublic,
    psk: PSK,
    ...different,
  });
  return Tunwrightd.start(topology, { config: await manualBranch(topology, [zone]), ...how });
}

/** The sentence is in the status, the log and the command's output; then the daemon stays, idle, and ends when asked. */
async function expectSentence(
  daemon: Tunwrightd,
  read: (status: StatusView) => string | null,
  wanted: RegExp,
): Promise<void> {
  const status = await daemon.waitUntil(`the status says ${wanted}`, DEADLINE_MS, (view) =>
    wanted.test(read(view) ?? ''),
  );
  const sentence = read(status) ?? '';
  expect(status.health).toBe('down');
  expect(sentence).toMatch(/^[^\n]{20,600}$/);
  await eventually(`the log says ${wanted}`, DEADLINE_MS, () => daemon.log.some(({ msg }) => wanted.test(msg)));

  const shown: CommandResult = await daemon.command('status');
  expect(shown.code).toBe(DOWN);
  expect(shown.output.replace(/\s+/g, ' ')).toContain(sentence.slice(0, 40));

  const busy = await daemon.cpuShare(WATCH_MS);
  expect(busy).toBeLessThan(BUSY_SHARE);
  expect(daemon.log.some(({ msg }) => /^\s+at /m.test(msg))).toBe(false);
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
}

function registrationDetail({ registration }: StatusView): string | null {
  return registration.state === 'failed' ? registration.detail : null;
}

function tunnelReason({ links }: StatusView): string | null {
  return links[0]?.tunnels[0]?.reason ?? null;
}
