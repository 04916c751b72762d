import { join } from 'node:path';
import { eventually } from './eventually.ts';
import type { RunningProcess } from './process.ts';
import { ROOT } from './repository.ts';
import type { Topology } from './topology.ts';

const DRIVER = join(ROOT, 'test/netns/drivers/udp-stream.mjs');
const PORT = 5001;
/** More than the receiver needs to notice that the stream has ended. */
const STOP_GRACE_MS = 5_000;

interface StreamEnd {
  readonly namespace: string;
  readonly address: string;
}

interface Direction {
  readonly sender: RunningProcess;
  readonly receiver: RunningProcess;
}

export interface StreamResult {
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  /** The numbers of the first few lost ones. */
  readonly missing: readonly number[];
  readonly longestGapMs: number;
  /** The first few pauses of over 100 ms, in milliseconds since 1970. */
  readonly gaps: readonly { readonly from: number; readonly to: number }[];
}

/** Numbered datagrams at a constant rate from `a` to `b` and from `b` to `a`, until `stop()`. */
export class UdpStreams {
  readonly #directions: readonly Direction[];

  private constructor(pairs: readonly Direction[]) {
    this.#directions = pairs;
  }

  static async start(topology: Topology, a: StreamEnd, b: StreamEnd, packetsPerSecond: number): Promise<UdpStreams> {
    const drive = ({ namespace }: StreamEnd, ...words: (string | number)[]): RunningProcess =>
      topology.start(process.execPath, [DRIVER, ...words.map(String)], { namespace });
    const directions = [
      { from: a, to: b },
      { from: b, to: a },
    ].map(({ from, to }) => ({ from, to, receiver: drive(to, 'receive', to.address, PORT) }));
    await eventually('the receivers of the streams listen', 5_000, () =>
      directions.every(({ receiver }) => receiver.lines.includes('listening')),
    );
    return new UdpStreams(
      directions.map(({ from, to, receiver }) => ({
        receiver,
        sender: drive(from, 'send', from.address, to.address, PORT, packetsPerSecond),
      })),
    );
  }

  /** Waits for the first datagram of each direction: from here on a pause is a gap. */
  async flow(): Promise<void> {
    await eventually('both streams arrive', 5_000, () =>
      this.#directions.every(({ receiver }) => receiver.lines.includes('receiving')),
    );
  }

  /** What came of both directions, `a` to `b` first. */
  async stop(): Promise<StreamResult[]> {
    await Promise.all(this.#directions.map(({ sender }) => sender.stop('SIGTERM', STOP_GRACE_MS)));
    await Promise.all(this.#directions.map(({ receiver }) => receiver.stop('SIGTERM', STOP_GRACE_MS)));
    return this.#directions.map(({ sender, receiver }) => {
      const { sent } = tally<{ sent: number }>(sender);
      const { received, ...rest } = tally<Omit<StreamResult, 'sent' | 'lost'> & { received: number }>(receiver);
      return { sent, lost: sent - received, ...rest };
    });
  }
}

function tally<T>({ lines }: RunningProcess): T {
  const line = lines.at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`a stream's driver ended early: ${lines.join('\n')}`);
  return JSON.parse(line);
}
