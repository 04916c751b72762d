import { join } from 'node:path';
import type { Clock } from '../io/clock.ts';
import { Journal } from '../io/journal.ts';
import type { Alarms } from './alarms.ts';
import type { EventLog } from './event-log.ts';

const ALARM = 'history-unwritable';

/** Lets the log's IKE history outlive the daemon, in `<stateDirectory>/history`. A failure is an alarm, never an error. */
export async function keepHistory(
  stateDirectory: string,
  clock: Pick<Clock, 'now' | 'wakeAt'>,
  log: EventLog,
  alarms: Alarms,
): Promise<void> {
  const { journal, records } = await Journal.open({
    directory: join(stateDirectory, 'history'),
    name: 'ike',
    clock,
    onTrouble: (message) => {
      const words = `the IKE history will miss lines after a restart: ${message} The tunnels are not affected.`;
      alarms.raise(ALARM, 'warning', words);
      log.add('warn', ALARM, words);
    },
    onRecovered: (lost) => {
      alarms.clear(ALARM);
      log.add('info', 'history-writable', `the IKE history is written again; lines lost meanwhile: ${lost}`);
    },
  });
  log.recallHistory(records, journal);
}
