import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../test/netns/process.ts';
import { ROOT } from '../../test/netns/repository.ts';
import type { Rig } from './rig.ts';

const LOAD = join(ROOT, '.setup', 'bench-programs', 'udp-load');
const TCP_SECONDS = 4;
const UDP_SECONDS = 1.5;
const UDP_PORT = '5201';
/** IPv4 and UDP headers. */
const UDP_OVERHEAD = 28;
/** The search for a rate ends when its bounds are this close. */
const PRECISION = 1.06;
const TICKS_PER_SECOND = 100;

/** Both ends' servers: iperf3, and the sink of UDP load. */
export class Load {
  readonly #rig: Rig;

  private constructor(rig: Rig) {
    this.#rig = rig;
  }

  static async start(rig: Rig): Promise<Load> {
    await rig.start('far', 'iperf3', ['-s', '-B', rig.far.inner, '--forceflush'], /listening/);
    await rig.start('far', LOAD, ['sink', rig.far.inner, UDP_PORT], /listening/);
    return new Load(rig);
  }

  /** Gbit/s of payload that arrived, and the octets of the whole run (for the share of CPU). */
  async tcp(streams: number, reverse: boolean): Promise<{ gbps: number; octets: number }> {
    const { near, far } = this.#rig;
    // The pacing timer limits a fast stream; the same for everybody.
    const flags = ['-P', `${streams}`, '-O', '1', '-J', '--pacing-timer', '10000', ...(reverse ? ['-R'] : [])];
    const args = ['-c', far.inner, '-B', near.inner, '-t', `${TCP_SECONDS}`, ...flags];
    const { end, intervals } = JSON.parse(await run('iperf3', args, { namespace: near.namespace }));
    const octets = intervals.reduce((sum: number, { sum: { bytes } }: { sum: { bytes: number } }) => sum + bytes, 0);
    return { gbps: end.sum_received.bits_per_second / 1e9, octets };
  }

  /**
   * Packets per second, in thousands, that arrive without a single loss; `octets`: of the inner IPv4 packet. The search begins
   * around `aboutKpps`, if somebody knows.
   */
  async lossFreeKpps(octets: number, aboutKpps?: number): Promise<number> {
    let low = aboutKpps === undefined ? 1_000 : aboutKpps * 850;
    let high = aboutKpps === undefined ? 4_000 : aboutKpps * 1_150;
    while (low > 1_000 && !(await this.#passes(low, octets))) [low, high] = [low / 2, low];
    while (high < 2_000_000 && (await this.#passes(high, octets))) [low, high] = [high, high * 2];
    while (high / low > PRECISION) {
      const middle = Math.sqrt(low * high);
      if (await this.#passes(middle, octets)) low = middle;
      else high = middle;
    }
    return low / 1000;
  }

  /** Thousands of packets per second that arrive while `kpps` are offered. */
  async deliveredKpps(octets: number, kpps: number): Promise<number> {
    const { received, seconds } = await this.#send(kpps * 1000, octets);
    return received / seconds / 1000;
  }

  /** Median round trip of an idle tunnel, ms. */
  async idleRttMs(): Promise<number> {
    const { near, far } = this.#rig;
    const args = ['-n', '-c', '200', '-i', '0.01', '-I', near.inner, far.inner];
    const times = [...(await run('ping', args, { namespace: near.namespace })).matchAll(/time=([\d.]+) ms/g)];
    const sorted = times.map(([, ms]) => Number(ms)).sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? Number.NaN;
  }

  /** The generator keeps pace and nothing is lost; once more before a rate is given up, for other programs' sake. */
  async #passes(rate: number, octets: number): Promise<boolean> {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const { sent, received, seconds } = await this.#send(rate, octets);
      if (received === sent && sent >= rate * seconds * 0.97) return true;
    }
    return false;
  }

  async #send(rate: number, octets: number): Promise<{ sent: number; received: number; seconds: number }> {
    const { near, far } = this.#rig;
    const words = ['send', far.inner, UDP_PORT, `${octets - UDP_OVERHEAD}`, `${Math.round(rate)}`, `${UDP_SECONDS}`];
    return JSON.parse(await run(LOAD, words, { namespace: near.namespace }));
  }
}

/** Seconds of CPU that the processes have used, in user space and in the kernel. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    // proc(5): after the name in parentheses, utime and stime are the 12th and 13th fields.
    const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** MB of memory that the largest of the processes holds. */
export async function residentMb(pids: readonly number[]): Promise<number> {
  const sizes: number[] = [];
  for (const pid of pids) {
    const kilobytes = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
    sizes.push(Number(kilobytes) / 1024);
  }
  return Math.max(...sizes);
}
