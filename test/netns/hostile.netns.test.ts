import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Capture } from './capture.ts';
import { eventually } from './eventually.ts';
import { LONG, RekeyedTunnel, SUITE } from './rekeyed-tunnel.ts';
import { ROOT } from './repository.ts';
import { figure, SOAK } from './soak.ts';
import { ADDRESS } from './topology.ts';

const DRIVER = join(ROOT, 'test/netns/drivers/hostile-peer.py');
/** Hostile packets per second, beside those of the streams. */
const RATE = 5_000;
const STREAM_RATE = 500;
const ROUNDS = SOAK ? 20 : 1;
/** What a heap may grow between two collections; a state per packet would take more. */
const GROWTH_MAX_MB = 32;

describe('somebody who sends under the peer’s address', () => {
  it('changes nothing in an established SA: replays, damaged copies, forgeries, garbage, floods', {
    timeout: 60_000 * ROUNDS,
  }, async () => {
    const tunnel = await RekeyedTunnel.create(SUITE);
    const { topology } = tunnel;
    try {
      const capture = await Capture.start(topology, topology.namespace('branch'), 'wan0');
      await tunnel.up(LONG);
      // In this order, the recording has messages of the IKE SA that is in use.
      for (const what of ['ike', 'child'] as const) {
        const before = await tunnel.settled();
        await tunnel.responder.rekey(what);
        await tunnel.rekeyed(what, before);
      }
      expect(await tunnel.carriesPings()).toEqual({ sent: 3, received: 3 });
      const inUse = await tunnel.settled();
      const streams = await tunnel.streams(STREAM_RATE);
      await streams.flow();
      await capture.stop();

      const attack = async (): Promise<string[]> => {
        const words = [DRIVER, capture.file, ADDRESS.branchPublic, `${RATE}`];
        const attacker = topology.start('/usr/bin/python3', words, { namespace: topology.namespace('router') });
        expect(await attacker.exit, attacker.lines.join('\n')).toEqual({ code: 0, signal: null });
        return attacker.lines;
      };
      const [recorded, ...kinds] = await attack();
      expect(recorded, 'the IKE SAs that the attacks name').toContain(inUse.ike.replace(' ', ''));
      expect(kinds).toHaveLength(6);
      const residentMb = await resident(tunnel.daemon.pid);
      for (let round = 1; round < ROUNDS; round += 1) await attack();
      await eventually(
        'what the attacks left in the queues is gone',
        5_000,
        async () => (await tunnel.inUse()) !== undefined,
      );

      const grownMb = (await resident(tunnel.daemon.pid)) - residentMb;
      const results = await streams.stop();
      figure('hostile packets', {
        kinds: kinds.map((line) => JSON.parse(line)),
        rounds: ROUNDS,
        grownMb,
        results,
      });
      expect(await tunnel.settled()).toEqual(inUse);
      for (const { lost, duplicated } of results) expect({ lost, duplicated }).toEqual({ lost: 0, duplicated: 0 });
      expect(grownMb).toBeLessThan(GROWTH_MAX_MB);
      await tunnel.down();
    } finally {
      await topology.remove();
    }
  });
});

/** Megabytes of a process in memory. */
async function resident(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
}
