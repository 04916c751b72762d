import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMITTED_CIPHERS, tuningWith } from './ciphers.ts';
import { eventually } from './eventually.ts';
import { RunningProcess, run } from './process.ts';
import { ROOT } from './repository.ts';
import { StaticTunnel } from './static-tunnel.ts';

const DRIVER = join(ROOT, 'test', 'netns', 'drivers', 'odd-packets.py');
const PYTHON = '/usr/bin/python3';

interface Sent {
  readonly case: string;
  readonly flow: string;
  readonly sent: string;
  /** The same, but for a lowered MSS. */
  readonly expected: string;
}

describe.each(ADMITTED_CIPHERS)('packets that no ordinary program sends, encrypted by %s,', (cipher) => {
  let tunnel: StaticTunnel;
  const cases = new Map<string, { readonly expected: string[]; readonly received: string[] }>();

  beforeAll(async () => {
    tunnel = await StaticTunnel.create({ tuning: tuningWith(cipher) });
    const receiver = new RunningProcess(PYTHON, [DRIVER, 'receive', 'tw0'], { namespace: tunnel.far.namespace });
    await eventually('the receiver is ready', 20_000, () => receiver.lines.length > 0);
    const output = await run(PYTHON, [DRIVER, 'send', 'tw0', `${StaticTunnel.mtu}`], {
      namespace: tunnel.near.namespace,
    });
    const sent: Sent[] = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    // What is missing then shows below, case by case.
    const everything = () => receiver.lines.length > sent.length;
    await eventually('everything has come out', 10_000, everything).catch(() => undefined);
    await receiver.stop();
    const received = receiver.lines.slice(1).map((line) => JSON.parse(line) as { flow: string; packet: string });
    sortOut(sent, received);
  });
  afterAll(() => tunnel?.remove());

  /** Each case as it was sent, and as it came out, flow by flow. */
  function sortOut(sent: readonly Sent[], received: readonly { flow: string; packet: string }[]): void {
    for (const { case: name } of sent) if (!cases.has(name)) cases.set(name, { expected: [], received: [] });
    for (const flow of new Set(sent.map(({ flow: each }) => each))) {
      const own = sent.filter(({ flow: each }) => each === flow);
      const found = cases.get(own[0]?.case ?? '');
      found?.expected.push(...own.map(({ expected }) => expected));
      found?.received.push(...received.filter(({ flow: each }) => each === flow).map(({ packet }) => packet));
    }
  }

  it.each([
    ['every size, IPv4', 1_381],
    ['every size, IPv6', 1_361],
    ['IPv4 options', 4],
    ['IPv4 fragments', 4],
    ['IPv4 headers', 12],
    ['IPv6 extension headers', 6],
    ['other protocols', 15],
    ['UDP without a checksum, IPv4', 10],
    ['damaged IPv4 headers', 20],
    ...['IPv4', 'IPv6'].flatMap((version): [string, number][] => [
      [`TCP flags, ${version}`, 256],
      [`TCP stream, ${version}`, 70],
      [`TCP timestamps, ${version}`, 20],
      [`TCP windows, ${version}`, 20],
      [`TCP pushes, ${version}`, 20],
      [`TCP acknowledgements, ${version}`, 20],
      [`UDP of one size, ${version}`, 40],
      [`UDP of many sizes, ${version}`, 11],
      [`damaged UDP, ${version}`, 10],
      [`damaged TCP, ${version}`, 20],
      [`traffic classes, ${version}`, 256],
      [`MSS, ${version}`, 10],
    ]),
  ])('come out as they went in, and in order: %s', (name, count) => {
    const { expected, received } = cases.get(name) ?? { expected: [], received: [] };
    expect(expected).toHaveLength(count);
    expect(received).toEqual(expected);
  });

  it('are all there is: no case was forgotten', () => {
    expect(cases.size).toBe(9 + 2 * 12);
  });
});
