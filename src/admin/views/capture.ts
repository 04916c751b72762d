import type { Agent } from '../../agent/agent.ts';
import { DataPlaneError } from '../../io/data-plane.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { CaptureRequest, Refusal } from '../wire.ts';

/** Begins a capture; its file comes when its time is over. */
export function captureView(
  agent: Agent,
  { tunnel, side, seconds, packets, snap }: CaptureRequest,
): Result<AsyncIterable<Uint8Array>, Refusal> {
  const { paths } = agent;
  const path = tunnel === undefined && paths.length === 1 ? paths[0] : paths.find(({ spec }) => spec.name === tunnel);
  if (path === undefined) {
    const known = paths.map(({ spec }) => spec.name).join(', ');
    const asked = tunnel === undefined ? 'which tunnel?' : `there is no tunnel ${tunnel}:`;
    return err({ status: 404, code: 'not-found', message: `${asked} expected one of ${known || 'none, as yet'}` });
  }
  const limits = { side, durationMs: seconds * 1000, packets, snapLength: snap };
  try {
    const file = agent.capture(path, limits);
    if (file !== undefined) return ok(file);
    const why = path.tunnel.problem?.reason ?? 'the daemon is stopping';
    return err({ status: 409, code: 'conflict', message: `tunnel ${path.spec.name} has no device now: ${why}` });
  } catch (error) {
    if (!(error instanceof DataPlaneError)) throw error;
    return err({ status: 409, code: 'conflict', message: error.message });
  }
}
