/**
 * Preloaded into a daemon by NODE_OPTIONS: measures how long its event loop is blocked, and how long by its garbage collector. SIGUSR2
 * starts over; at the end of the process the longest of both, in milliseconds, go as JSON to the file that EVENT_LOOP_PROBE names. Every
 * delay includes the millisecond of the probe's own timer.
 */
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';

const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
let collectionMs = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) collectionMs = Math.max(collectionMs, duration);
}).observe({ entryTypes: ['gc'] });
process.on('SIGUSR2', () => {
  histogram.reset();
  collectionMs = 0;
});
process.on('exit', () => {
  const file = process.env['EVENT_LOOP_PROBE'];
  if (file !== undefined) writeFileSync(file, JSON.stringify({ delayMs: histogram.max / 1e6, collectionMs }));
});
