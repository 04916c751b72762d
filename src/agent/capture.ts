import type { Clock } from '../io/clock.ts';
import type { CaptureSide, DataPlaneTunnel } from '../io/data-plane.ts';
import { after } from '../lib/time.ts';
import { pcapng } from '../obs/pcapng.ts';

export interface CaptureWish {
  readonly side: CaptureSide;
  readonly durationMs: number;
  /** The last so many of each packet thread. */
  readonly packets: number;
  /** Octets of each. */
  readonly snapLength: number;
}

/** A capture that goes on: iterating gives the file when its time is over, and ending the iteration ends the capture. */
export type CaptureFile = AsyncIterableIterator<Uint8Array>;

/** Records what passes from now on. Throws `DataPlaneError` when there is a capture already, or when it would be too large. */
export function startCapture(
  device: DataPlaneTunnel,
  name: string,
  { side, durationMs, packets, snapLength }: CaptureWish,
  clock: Clock,
): CaptureFile {
  device.startCapture(side, { packets, snapLength });
  let isOver = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    isOver = resolve;
  });
  const cancelAlarm = clock.wakeAt(after(clock.now(), durationMs), isOver);
  const file = over
    .then(() => device.endCapture())
    .then((captured) => pcapng({ interface: name, snapLength }, captured));
  // Whoever reads the file hears of it; nobody has to.
  file.catch(() => undefined);
  let given = false;
  const nothing = { done: true, value: undefined } as const;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (given) return nothing;
      given = true;
      return { done: false, value: await file };
    },
    async return() {
      given = true;
      cancelAlarm();
      isOver();
      return nothing;
    },
  };
}
