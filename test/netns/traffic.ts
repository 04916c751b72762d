import { RunningProcess } from './process.ts';

export interface PingResult {
  readonly destination: string;
  readonly sent: number;
  readonly received: number;
  /** Sequence numbers from 1 without an answer. */
  readonly lost: readonly number[];
}

export interface PingOptions {
  readonly count: number;
  readonly intervalMs?: number;
  readonly source?: string;
}

/**
 * Pings from a namespace. After the last request ping waits for one interval (or twice the longest round trip, if that is
 * more; one second if there was no answer at all), so a short interval would count late answers as lost.
 */
export async function ping(namespace: string, destination: string, options: PingOptions): Promise<PingResult> {
  const { count, intervalMs = 200, source } = options;
  const args = ['-n', '-c', `${count}`, '-i', `${intervalMs / 1000}`, '-W', '1'];
  if (source !== undefined) args.push('-I', source);
  const pinging = new RunningProcess('ping', [...args, destination], { namespace });
  const { code } = await pinging.exit;
  // 1: answers are missing, which is a result; 2 is another failure.
  if (code !== 0 && code !== 1) throw new Error(`ping ${destination}: ${pinging.lines.join('; ')}`);
  const answered = new Set(
    pinging.lines.flatMap((line) => /bytes from .* icmp_seq=(\d+) /.exec(line)?.[1] ?? []).map(Number),
  );
  const sent = Number(/^(\d+) packets transmitted/m.exec(pinging.lines.join('\n'))?.[1]);
  const lost = Array.from({ length: sent }, (_, index) => index + 1).filter((sequence) => !answered.has(sequence));
  return { destination, sent, received: answered.size, lost };
}

/** The sum of several pings that ran side by side. */
export function sumOf(results: readonly PingResult[]): { sent: number; received: number; lost: number } {
  const sent = results.reduce((sum, result) => sum + result.sent, 0);
  const received = results.reduce((sum, result) => sum + result.received, 0);
  return { sent, received, lost: sent - received };
}
