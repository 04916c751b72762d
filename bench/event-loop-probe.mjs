/**
 * Preloaded into a daemon by NODE_OPTIONS: measures how long its event loop is blocked. SIGUSR2 starts over; at the end of
 * the process the longest delay, in milliseconds, goes to the file that EVENT_LOOP_PROBE names. Every delay includes the
 * millisecond of the probe's own timer.
 */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
process.on('SIGUSR2', () => histogram.reset());
process.on('exit', () => {
  const file = process.env['EVENT_LOOP_PROBE'];
  if (file !== undefined) writeFileSync(file, `${histogram.max / 1e6}`);
});
