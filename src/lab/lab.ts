import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { SaView, StatusView } from '../admin/wire.ts';
import { AdminClient } from '../cli/client.ts';
import { CliError, Exit } from '../cli/exit.ts';
import type { Clock } from '../io/clock.ts';
import { after, type Instant } from '../lib/time.ts';
import { branchConfig } from './branch-config.ts';
import { freshDirectories, type LabPaths, logFile, writePrivate } from './directory.ts';
import { startMicrosoft, startNat } from './far-side.ts';
import { NotHealthy } from './lab-error.ts';
import { MICROSOFT_PREFIXES } from './microsoft-prefixes.ts';
import { buildNamespaces, inside, run, setUpNode } from './namespaces.ts';
import type { Progress } from './progress.ts';
import { Roles } from './roles.ts';
import { BRANCH, NAT_INSIDE, PROBE } from './topology.ts';
import { boundRequests, clientRequests, ping } from './traffic.ts';
import {
  describeTunnels,
  type EcmpRoute,
  type Evidence,
  type Expected,
  parseRoutes,
  whyNotHealthy,
  whyNotRouted,
} from './verdict.ts';

const HEALTHY_WITHIN_MS = 60_000;
const POLL_MS = 25;
/** The daemon's routing table. */
const TABLE = '7700';

export const EXPECTED: Expected = {
  interfaces: ['tw0', 'tw1'],
  prefixes: MICROSOFT_PREFIXES,
  probe: PROBE.address,
};

export interface LabOptions {
  readonly paths: LabPaths;
  readonly nat: boolean;
}

/** A branch and everything around it, in the namespaces of this process. */
export class Lab {
  readonly roles: Roles;
  readonly #options: LabOptions;
  readonly #progress: Progress;
  readonly #clock: Clock;
  readonly #client: AdminClient;

  constructor(options: LabOptions, progress: Progress, clock: Clock) {
    this.#options = options;
    this.#progress = progress;
    this.#clock = clock;
    this.#client = new AdminClient(options.paths.socket);
    this.roles = new Roles(options.paths);
  }

  /** Rejects with `LabError` when something cannot be built or the branch does not become healthy in time. */
  async up(): Promise<void> {
    const { paths } = this.#options;
    const clientSecret = randomBytes(24).toString('base64url');
    await this.#progress.step('namespaces', async (say) => {
      await freshDirectories(paths);
      await buildNamespaces();
      say('client, branch, router, zone1, zone2, entra');
    });
    const [nat] = await Promise.all([
      this.#progress.step('branch and NAT', (say) => this.#connectBranch(say)),
      this.#progress.step('far side', async (say) => {
        await startMicrosoft(this.roles, clientSecret);
        say('two zone gateways, simulated Entra');
      }),
    ]);
    await writePrivate(paths.secret, `${clientSecret}\n`);
    await writePrivate(paths.config, branchConfig({ secretFile: paths.secret, nat }));
    const deadline = after(this.#clock.now(), HEALTHY_WITHIN_MS);
    await this.#progress.step('tunwrightd', (say) => this.#startDaemon(deadline, say));
    await this.#progress.step('registration', (say) => this.#registered(deadline, say));
    await this.#progress.step('tunnels and BGP', (say) => this.#established(deadline, say));
    await this.#progress.step('routes', (say) => this.#routed(deadline, say));
  }

  /** Looks at routes and counters, pings, and looks again. */
  async prove(): Promise<Evidence> {
    return this.#progress.step('traffic', async (say) => {
      const sasBefore = await this.#client.get<SaView[]>('/v1/ipsec/sas');
      const client = await ping(this.roles, 'client', clientRequests());
      const bound = await ping(this.roles, 'branch', boundRequests(EXPECTED.interfaces));
      const sasAfter = await this.#client.get<SaView[]>('/v1/ipsec/sas');
      const status = await this.#client.get<StatusView>('/v1/status');
      say('pings from the LAN and through each tunnel');
      return { status, ecmp: await shownRoutes(), sasBefore, sasAfter, client, bound };
    });
  }

  /** Whether there is NAT after all: a kernel without it is no reason not to have a lab. */
  async #connectBranch(say: (words: string) => void): Promise<boolean> {
    const refusal = this.#options.nat ? await startNat(this.roles) : 'switched off';
    const nat = refusal === undefined;
    await Promise.all((['client', 'branch', 'router'] as const).map((node) => setUpNode(node, nat)));
    say(
      nat ? `${NAT_INSIDE} behind ${BRANCH.publicIp}` : `no NAT (${refusal}): the branch itself is ${BRANCH.publicIp}`,
    );
    return nat;
  }

  async #startDaemon(deadline: Instant, say: (words: string) => void): Promise<void> {
    const { config, state, runtime } = this.#options.paths;
    const args = ['--config', config, '--state-dir', state, '--runtime-dir', runtime];
    this.roles.start({ name: 'tunwrightd', node: 'branch', program: '../main.js', args });
    await this.#statusOnce(deadline, () => undefined);
    say(config);
  }

  async #registered(deadline: Instant, say: (words: string) => void): Promise<void> {
    const { registration } = await this.#statusOnce(deadline, ({ registration: { state, detail } }) =>
      state === 'registered' ? undefined : `the branch is not registered (${state}): ${detail}`,
    );
    say(`"${registration.remote_network}" in ${registration.connector ?? 'no connector'}`);
  }

  async #established(deadline: Instant, say: (words: string) => void): Promise<void> {
    const status = await this.#statusOnce(deadline, (seen) => whyNotHealthy(seen, EXPECTED));
    say(describeTunnels(status, EXPECTED));
  }

  /** The kernel follows what BGP has learned; the two sessions do not come up in the same moment. */
  async #routed(deadline: Instant, say: (words: string) => void): Promise<void> {
    await this.#statusOnce(deadline, async () => whyNotRouted(await shownRoutes(), EXPECTED));
    say(
      `healthy after ${this.#progress.elapsedSec.toFixed(2)} s: every prefix over ${EXPECTED.interfaces.join(' and ')}`,
    );
  }

  /** The first status that `missing` finds nothing missing in; rejects with what was missing last. */
  async #statusOnce(
    deadline: Instant,
    missing: (status: StatusView) => string | undefined | Promise<string | undefined>,
  ): Promise<StatusView> {
    let obstacle = 'the daemon does not answer';
    let last: StatusView | undefined;
    while (this.#clock.now() < deadline) {
      const status = await this.#askStatus();
      const lacks = status === undefined ? obstacle : await missing(status);
      if (status !== undefined && lacks === undefined) return status;
      obstacle = lacks ?? obstacle;
      last = status ?? last;
      await wait(POLL_MS);
    }
    const log = logFile(this.#options.paths, 'tunwrightd');
    throw new NotHealthy(`not healthy within ${HEALTHY_WITHIN_MS / 1_000} s: ${obstacle}; logs: ${log}`, last);
  }

  /** Undefined while the daemon does not listen yet. */
  async #askStatus(): Promise<StatusView | undefined> {
    try {
      return await this.#client.get<StatusView>('/v1/status');
    } catch (error) {
      if (error instanceof CliError && error.exitCode === Exit.notRunning) return undefined;
      throw error;
    }
  }
}

/** The daemon's routes as the kernel has them. */
async function shownRoutes(): Promise<readonly EcmpRoute[]> {
  const [program, ...args] = inside('branch', 'ip', '-json', 'route', 'show', 'table', TABLE);
  return parseRoutes(await run(program, args));
}
