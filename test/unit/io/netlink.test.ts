import { describe, expect, it } from 'vitest';
import type { NativeAddon } from '../../../src/io/native.ts';
import { decodeFrames, encodeFrames, type NetlinkFrame, NetlinkSocket } from '../../../src/io/netlink.ts';
import { concat, fromHex, utf8, Writer } from '../../../src/lib/bytes.ts';
import { host32, type NetlinkMessage, writeText } from '../../../src/lib/netlink.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const MULTI = 0x2;
const INTERRUPTED = 0x10;
const CAPPED = 0x100;
const WITH_TEXT = 0x200;

describe('netlink frames', () => {
  it('lays out the header of linux/netlink.h in host order and pads the payload', () => {
    const bytes = encodeFrames([{ type: 0x18, flags: 0x605, sequence: 7, payload: fromHex('0a0b0c0d0e') }]);
    expect(bytes).toEqual(fromHex(`15000000${'1800'}${'0506'}${'07000000'}${'00000000'}0a0b0c0d0e000000`));
  });

  it('reads back several frames of one datagram', () => {
    const frames: NetlinkFrame[] = [
      { type: 16, flags: 1, sequence: 1, payload: utf8('odd') },
      { type: 17, flags: 2, sequence: 2, payload: new Uint8Array() },
    ];
    expect(decodeFrames(encodeFrames(frames))).toEqual(frames);
  });

  it('stops at a frame that is cut or shorter than its header, wherever the cut is', () => {
    const whole = encodeFrames([
      { type: 16, flags: 0, sequence: 1, payload: utf8('good') },
      { type: 16, flags: 0, sequence: 2, payload: utf8('cut!') },
    ]);
    for (let length = 20; length < whole.length; length++)
      expect(decodeFrames(whole.subarray(0, length))).toHaveLength(1);
    expect(decodeFrames(fromHex('03000000'.padEnd(32, '0')))).toEqual([]);
  });
});

describe('NetlinkSocket', () => {
  it('resolves a request with what came before the acknowledgement', async () => {
    const kernel = fakeKernel(({ sequence }) => [
      answer(sequence, 'one'),
      answer(sequence, 'two'),
      acknowledge(sequence),
    ]);
    const answers = await kernel.socket.request(message('get'));
    expect(answers.map(({ payload }) => payload)).toEqual([utf8('one'), utf8('two')]);
  });

  it('rejects with the errno name and the words of the kernel', async () => {
    const kernel = fakeKernel(({ sequence }) => [refuse(sequence, 17, 'Nexthop id already exists')]);
    await expect(kernel.socket.request(message('add'))).rejects.toMatchObject({
      code: 'EEXIST',
      message: 'Nexthop id already exists (EEXIST)',
    });
  });

  it('finds the words behind a request that comes back whole', async () => {
    const kernel = fakeKernel(({ sequence }) => [refuse(sequence, 22, 'Invalid prefix', message('whole request'))]);
    await expect(kernel.socket.request(message('add'))).rejects.toMatchObject({ message: 'Invalid prefix (EINVAL)' });
  });

  it('collects a dump over several datagrams until DONE', async () => {
    const kernel = fakeKernel(({ sequence }) => [
      answer(sequence, 'first', MULTI),
      answer(sequence, 'second', MULTI),
      { type: NLMSG_DONE, flags: MULTI, sequence, payload: new Uint8Array(4) },
    ]);
    expect(await kernel.socket.dump(message('dump'))).toHaveLength(2);
  });

  it('takes an interrupted dump again', async () => {
    let attempts = 0;
    const kernel = fakeKernel(({ sequence }) => {
      const flags = attempts++ === 0 ? MULTI | INTERRUPTED : MULTI;
      return [
        answer(sequence, `attempt ${attempts}`, flags),
        { type: NLMSG_DONE, flags, sequence, payload: new Uint8Array(4) },
      ];
    });
    const answers = await kernel.socket.dump(message('dump'));
    expect(answers.map(({ payload }) => payload)).toEqual([utf8('attempt 2')]);
  });

  it('gives each message of a batch its own result, in order', async () => {
    // as the kernel does it: no word of what it did unless it is asked for one
    const kernel = fakeKernel(({ sequence, flags }) => {
      if (sequence % 2 === 0) return [refuse(sequence, 2, '')];
      return (flags & ACK) === 0 ? [] : [acknowledge(sequence)];
    });
    const results = await kernel.socket.batch(Array.from({ length: 2500 }, () => message('x')));
    expect(results).toHaveLength(2500);
    expect(results[0]).toBeUndefined();
    expect(results[2499]).toEqual({ code: 'ENOENT', detail: '' });
    expect(kernel.datagrams).toBe(3);
  });

  it('fails a whole transaction when the kernel refuses its begin message', async () => {
    const kernel = fakeKernel((frame) => (frame.sequence === 1 ? [refuse(1, 1, '')] : []));
    const results = await kernel.socket.transaction(message('begin'), [message('a'), message('b')], message('end'));
    expect(results).toEqual([
      { code: 'EPERM', detail: '' },
      { code: 'EPERM', detail: '' },
    ]);
  });

  it('rejects what waits when the kernel drops answers, and when the socket closes', async () => {
    const kernel = fakeKernel(() => []);
    const lost = kernel.socket.request(message('a'));
    kernel.deliver(new Uint8Array());
    await expect(lost).rejects.toMatchObject({ code: 'ENOBUFS' });
    const closed = kernel.socket.request(message('b'));
    kernel.socket.close();
    await expect(closed).rejects.toMatchObject({ code: 'ECANCELED' });
  });

  it('hands notifications on and tells of lost ones, without taking them for answers', () => {
    const kernel = fakeKernel(() => []);
    kernel.notify(encodeFrames([answer(1, 'link up')]));
    kernel.notify(new Uint8Array());
    expect(kernel.notifications).toEqual(['link up', 'overrun']);
  });
});

const ACK = 0x4;
const message = (text: string): NetlinkMessage => ({ type: 24, flags: 0, payload: utf8(text) });
const answer = (sequence: number, text: string, flags = 0): NetlinkFrame => {
  return { type: 24, flags, sequence, payload: utf8(text) };
};
const acknowledge = (sequence: number): NetlinkFrame => {
  return { type: NLMSG_ERROR, flags: CAPPED, sequence, payload: new Uint8Array(20) };
};

/** NLMSG_ERROR as the kernel writes it: errno, the request's header (and payload unless capped), attributes. */
function refuse(sequence: number, errno: number, text: string, request?: NetlinkMessage): NetlinkFrame {
  const echoed = encodeFrames([{ ...(request ?? message('')), sequence }]);
  const body = new Writer().u32(host32(-errno >>> 0)).put(request === undefined ? echoed.subarray(0, 16) : echoed);
  if (text !== '') writeText(body, 1, text);
  const flags = (request === undefined ? CAPPED : 0) | (text === '' ? 0 : WITH_TEXT);
  return { type: NLMSG_ERROR, flags, sequence, payload: body.finish() };
}

/** Answers each request as `respond` says, one datagram per frame, after the send returned. */
function fakeKernel(respond: (request: NetlinkFrame) => NetlinkFrame[]) {
  const notifications: string[] = [];
  const deliveries: ((datagram: Uint8Array) => void)[] = [];
  const state = { datagrams: 0 };
  const openNetlink: NativeAddon['openNetlink'] = (_protocol, _groups, onMessage) => {
    deliveries.push(onMessage);
    const send = (datagram: Uint8Array): void => {
      state.datagrams++;
      const answers = decodeFrames(datagram).flatMap(respond);
      queueMicrotask(() => {
        for (const frame of answers) onMessage(concat(encodeFrames([frame])));
      });
    };
    const sendAside = (datagrams: readonly Uint8Array[]) => datagrams.forEach(send);
    return { port: deliveries.length, send, sendAside, close: () => undefined };
  };
  const socket = new NetlinkSocket({ openNetlink } as NativeAddon, {
    protocol: 0,
    groups: [1],
    onNotification: ({ payload }) => notifications.push(new TextDecoder().decode(payload)),
    onOverrun: () => notifications.push('overrun'),
  });
  return {
    socket,
    notifications,
    deliver: (datagram: Uint8Array) => deliveries[0]?.(datagram),
    notify: (datagram: Uint8Array) => deliveries[1]?.(datagram),
    get datagrams() {
      return state.datagrams;
    },
  };
}
