import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { agentViews } from '../../../src/admin/views/index.ts';
import type { Agent } from '../../../src/agent/agent.ts';
import { keepHistory } from '../../../src/agent/history-journal.ts';
import { BranchWorld } from './branch-world.ts';
import { exchange } from './exchange.ts';
import { PSK } from './far-ends.ts';

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'tunwright-state-'));
});
afterEach(() => rmSync(state, { recursive: true }));

describe('the IKE history', () => {
  it('shows after a kill and after a stop what came before, below what is new', async () => {
    const killed = await startBranch(1);
    await killed.world.log.close(); // the last thing it did; nobody stopped the agent
    const first = shown(killed.agent);
    expect(first.map(({ tunnel, exchange: name }) => `${tunnel} ${name}`).sort()).toEqual([
      'fiber/1 IKE_AUTH',
      'fiber/1 IKE_SA_INIT',
      'fiber/2 IKE_AUTH',
      'fiber/2 IKE_SA_INIT',
    ]);

    const stopped = await startBranch(2);
    expect(shown(stopped.agent).slice(-first.length)).toEqual(first);
    const stopping = stopped.agent.stop();
    await stopped.world.seconds(1);
    await stopping;
    const second = shown(stopped.agent);
    expect(second.length).toBeGreaterThanOrEqual(2 * first.length);

    const { agent } = await startBranch(3);
    expect(shown(agent).slice(-second.length)).toEqual(second);
  });

  it('makes no event of what it recalls', async () => {
    const earlier = new BranchWorld();
    await keepHistory(state, earlier.clock, earlier.log, earlier.alarms);
    earlier.log.addExchange('fiber/1', exchange({ result: 'failed', reason: 'wrong key' }));
    await earlier.log.close();
    const { log, clock, alarms } = new BranchWorld();
    await keepHistory(state, clock, log, alarms);
    expect(log.after(0)).toEqual([]);
    expect(log.history({ tunnel: 'fiber/1', limit: 9 })).toMatchObject([{ reason: 'wrong key' }]);
  });

  it('holds no secret', async () => {
    const { world } = await startBranch(1);
    await world.log.close();
    const text = readFileSync(join(state, 'history/ike.1.ndjson'), 'utf8');
    expect(text).toContain('IKE_AUTH');
    expect(text).not.toContain(PSK);
    expect(text).not.toContain('[secret]');
  });

  it('is an alarm while it cannot be written, and an event when it can again; the tunnels come up all the same', async () => {
    writeFileSync(join(state, 'history'), 'in the way');
    const { world, agent } = await startBranch(1);
    expect(agent.paths.map(({ tunnel }) => tunnel.ike?.state)).toEqual(['established', 'established']);
    const alarms = () => world.alarms.list().filter(({ code }) => code === 'history-unwritable');
    expect(alarms().map(({ severity }) => severity)).toEqual(['warning']);
    expect(alarms()[0]?.message).toContain(
      `Cannot read ${join(state, 'history')}: something else has this name; move it out of the way`,
    );
    rmSync(join(state, 'history'));
    await world.log.close();
    expect(alarms()).toEqual([]);
    expect(world.messages.filter((message) => message.startsWith('history-'))).toEqual([
      expect.stringMatching(/^history-unwritable: the IKE history will miss lines after a restart: .*not affected\.$/),
      'history-writable: the IKE history is written again; lines lost meanwhile: 0',
    ]);
  });
});

/** A branch with both tunnels up, `hour` hours after 1970, on the state directory of those before it. */
async function startBranch(hour: number): Promise<{ world: BranchWorld; agent: Agent }> {
  const world = new BranchWorld();
  await world.seconds(hour * 3_600);
  await keepHistory(state, world.clock, world.log, world.alarms);
  const agent = await world.agent();
  await agent.start();
  await world.seconds(5);
  return { world, agent };
}

const shown = (agent: Agent) => agentViews(agent).ikeHistory({ tunnel: undefined, limit: 1_000 });
