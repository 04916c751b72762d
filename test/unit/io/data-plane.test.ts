import { describe, expect, it } from 'vitest';
import { type DataPlaneEvent, openTunnel } from '../../../src/io/data-plane.ts';
import type { NativeAddon, NativeTunnel, NativeTunnelEvent } from '../../../src/io/native.ts';
import { SA_COUNTERS, TUNNEL_COUNTERS } from '../../../src/io/native.ts';
import type { EspSa } from '../../../src/lib/esp-sa.ts';
import { ip } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';

const OPTIONS = {
  interface: 'tw0',
  mtu: 1380,
  localAddress: ip('192.0.2.1'),
  remoteAddress: ip('192.0.2.2'),
  device: 'eth0',
  replayWindow: 4096,
};
const SA: EspSa = { spi: 4096, key: new Secret(new Uint8Array(32)), salt: new Secret(new Uint8Array(4)), esn: false };

const REFUSALS = [
  ['EPERM', 'TUNSETIFF', 'CAP_NET_ADMIN'],
  ['EPERM', 'SO_MARK', 'CAP_NET_ADMIN'],
  ['ENOENT', 'open /dev/net/tun', 'modprobe tun'],
  ['EBUSY', 'TUNSETIFF', 'tw0 is in use'],
  ['EINVAL', 'TUNSETIFF', 'another kind'],
  ['EADDRINUSE', 'bind', 'strongSwan'],
  ['EADDRNOTAVAIL', 'bind', '192.0.2.1 is not an address of this machine'],
  ['EACCES', 'bind', 'CAP_NET_BIND_SERVICE'],
  ['ENODEV', 'SO_BINDTODEVICE', 'eth0 does not exist'],
  ['ENETUNREACH', 'connect', 'default route'],
  ['EPERM', 'raw ESP socket', 'CAP_NET_RAW'],
  ['EINVAL', 'sched_setaffinity', 'links[].data_plane.processors'],
  ['ENOMEM', 'mmap', 'mmap failed for tw0: ENOMEM'],
] as const;

describe('openTunnel', () => {
  it.each(REFUSALS)('turns %s from %s into a sentence with a remedy', (code, syscall, words) => {
    const addon = fakeAddon(() => {
      throw Object.assign(new Error(syscall), { code, syscall });
    });
    expect(() => openTunnel(addon, OPTIONS, () => undefined)).toThrow(words);
    expect(() => openTunnel(addon, OPTIONS, () => undefined)).toThrow(expect.objectContaining({ code }));
  });

  it('lets argument errors through: they are bugs, not refusals', () => {
    const addon = fakeAddon(() => {
      throw new TypeError('mtu: expected a whole number from 576 to 9216, got 3');
    });
    expect(() => openTunnel(addon, OPTIONS, () => undefined)).toThrow(TypeError);
  });

  it('names the counters in the order of the native view and keeps SA counters live', () => {
    const native = fakeTunnel();
    const tunnel = openTunnel(
      fakeAddon(() => native.tunnel),
      OPTIONS,
      () => undefined,
    );
    native.tunnel.counters.set(TUNNEL_COUNTERS.map((_, i) => BigInt(i)));
    expect(Object.values(tunnel.counters())).toEqual(TUNNEL_COUNTERS.map((_, i) => BigInt(i)));
    const counters = tunnel.addInbound(SA);
    native.sa[SA_COUNTERS.indexOf('drop_replay')] = 5n;
    expect(counters.drop_replay).toBe(5n);
  });

  it('ends a capture when no thread records any more, and gives it in the order of time', async () => {
    const native = fakeTunnel();
    const packet = (timeNs: bigint, more = {}) => ({
      timeNs,
      length: 3,
      sent: true,
      octets: Uint8Array.of(1),
      ...more,
    });
    const remoteAddress = Uint8Array.of(192, 0, 2, 2);
    const answers = [undefined, [packet(9n), packet(4n, { localPort: 4500, remotePort: 61234, remoteAddress })]];
    Object.assign(native.tunnel, { endCapture: () => undefined, collectCapture: () => answers.shift() });
    const tunnel = openTunnel(
      fakeAddon(() => native.tunnel),
      OPTIONS,
      () => undefined,
    );
    const outside = {
      local: { address: ip('192.0.2.1'), port: 4500 },
      remote: { address: ip('192.0.2.2'), port: 61234 },
    };
    expect(await tunnel.endCapture()).toEqual([packet(4n, { outside }), packet(9n)]);
  });

  it('turns a refused capture into a sentence', () => {
    const native = fakeTunnel();
    const refuse = (code: string) => () => {
      throw Object.assign(new Error(code), { code, syscall: 'startCapture' });
    };
    const tunnel = openTunnel(
      fakeAddon(() => native.tunnel),
      OPTIONS,
      () => undefined,
    );
    for (const [code, words] of [
      ['EBUSY', 'being captured already'],
      ['ENOBUFS', 'fewer packets'],
    ] as const) {
      Object.assign(native.tunnel, { startCapture: refuse(code) });
      expect(() => tunnel.startCapture('inner', { packets: 16_384, snapLength: 9_216 })).toThrow(words);
    }
  });

  it('passes on IKE messages with their source, the MTU, and failures as sentences', () => {
    const events: DataPlaneEvent[] = [];
    let emit: (event: NativeTunnelEvent) => void = () => undefined;
    const open: NativeAddon['openTunnel'] = (_, onEvent) => {
      emit = onEvent;
      return fakeTunnel().tunnel;
    };
    openTunnel({ openTunnel: open } as NativeAddon, OPTIONS, (event) => events.push(event));
    const message = Uint8Array.of(1, 2, 3);
    emit({ kind: 'ike', localPort: 4500, remoteAddress: Uint8Array.of(192, 0, 2, 2), remotePort: 4500, message });
    emit({ kind: 'mtu', mtu: 1338, pathMtu: 1400 });
    emit({ kind: 'failed', code: 'ENODEV', syscall: 'read tun' });
    expect(events).toEqual([
      { kind: 'ike', localPort: 4500, from: { address: ip('192.0.2.2'), port: 4500 }, message },
      { kind: 'mtu', mtu: 1338, pathMtu: 1400 },
      { kind: 'failed', code: 'ENODEV', message: 'The TUN device tw0 was removed by another program.' },
    ]);
  });
});

const fakeAddon = (open: () => NativeTunnel): NativeAddon =>
  ({ openTunnel: open }) as Partial<NativeAddon> as NativeAddon;

function fakeTunnel() {
  const sa = new BigUint64Array(SA_COUNTERS.length);
  const tunnel = {
    interfaceIndex: 3,
    counters: new BigUint64Array(TUNNEL_COUNTERS.length),
    addInbound: () => sa,
  } as Partial<NativeTunnel> as NativeTunnel;
  return { sa, tunnel };
}
