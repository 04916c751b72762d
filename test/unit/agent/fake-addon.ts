import {
  type NativeAddon,
  type NativeTunnel,
  type NativeTunnelEvent,
  type NativeTunnelOptions,
  SA_COUNTERS,
  TUNNEL_COUNTERS,
} from '../../../src/io/native.ts';
import type { Endpoint } from '../../../src/lib/esp-sa.ts';
import { ipFromBytes } from '../../../src/lib/ip.ts';

type Call = 'openTunnel' | Exclude<keyof NativeTunnel, 'interfaceIndex' | 'counters'>;

/** A kernel refusal as the addon throws it. */
export const refusal = (code: string, syscall: string): Error =>
  Object.assign(new Error(`${syscall}: ${code}`), { code, syscall });

/** A packet path that moves nothing: it writes down what it is asked, and refuses what it was told to refuse. */
export class FakeAddon implements Pick<NativeAddon, 'openTunnel'> {
  /** Every call but `sendIke`, in order, such as `tw0 setOutbound`. */
  readonly calls: string[];
  readonly tunnels: FakeTunnel[] = [];
  /** What throws, until it is taken out. */
  readonly failing = new Map<Call, Error>();
  /** What `close` waits for. */
  devicesGone: Promise<void> = Promise.resolve();
  /** Gets what the tunnels send. */
  onIke: (tunnel: FakeTunnel, localPort: 500 | 4500, to: Endpoint, message: Uint8Array) => void = () => undefined;

  constructor(calls: string[] = []) {
    this.calls = calls;
  }

  openTunnel(options: NativeTunnelOptions, onEvent: (event: NativeTunnelEvent) => void): FakeTunnel {
    this.called(options.interface, 'openTunnel');
    const tunnel = new FakeTunnel(this, 10 + this.tunnels.length, options, onEvent);
    this.tunnels.push(tunnel);
    return tunnel;
  }

  called(device: string, call: Call, ...words: unknown[]): void {
    if (call !== 'sendIke' && call !== 'sendKeepalive') this.calls.push([device, call, ...words].join(' '));
    const error = this.failing.get(call);
    if (error !== undefined) throw error;
  }

  /** Only the part of the addon that tunnels use. */
  get asAddon(): NativeAddon {
    return this as unknown as NativeAddon;
  }

  get last(): FakeTunnel {
    const tunnel = this.tunnels.at(-1);
    if (tunnel === undefined) throw new Error('no tunnel was opened');
    return tunnel;
  }
}

export class FakeTunnel implements NativeTunnel {
  readonly interfaceIndex: number;
  readonly counters = new BigUint64Array(TUNNEL_COUNTERS.length);
  readonly options: NativeTunnelOptions;
  readonly inboundCounters: BigUint64Array[] = [];
  readonly outboundCounters: BigUint64Array[] = [];
  closed = false;
  readonly #addon: FakeAddon;
  readonly #onEvent: (event: NativeTunnelEvent) => void;

  constructor(
    addon: FakeAddon,
    interfaceIndex: number,
    options: NativeTunnelOptions,
    onEvent: (event: NativeTunnelEvent) => void,
  ) {
    this.#addon = addon;
    this.interfaceIndex = interfaceIndex;
    this.options = options;
    this.#onEvent = onEvent;
  }

  addInbound(): BigUint64Array {
    this.#called('addInbound');
    const counters = new BigUint64Array(SA_COUNTERS.length);
    this.inboundCounters.push(counters);
    return counters;
  }
  removeInbound(): void {
    this.#called('removeInbound');
  }
  setOutbound(): BigUint64Array {
    this.#called('setOutbound');
    const counters = new BigUint64Array(SA_COUNTERS.length);
    this.outboundCounters.push(counters);
    return counters;
  }
  clearOutbound(): void {
    this.#called('clearOutbound');
  }
  moveOutbound(): void {
    this.#called('moveOutbound');
  }
  sendIke(localPort: 500 | 4500, remoteAddress: Uint8Array, remotePort: number, message: Uint8Array): void {
    this.#called('sendIke');
    const to = { address: ipFromBytes(remoteAddress), port: remotePort };
    this.#addon.onIke(this, localPort, to, Uint8Array.from(message));
  }
  sendKeepalive(): void {
    this.#called('sendKeepalive');
  }
  startCapture(side: string): void {
    this.#called('startCapture', side);
  }
  endCapture(): void {
    this.#called('endCapture');
  }
  collectCapture(): readonly [] {
    this.#called('collectCapture');
    return [];
  }
  close(): Promise<void> {
    if (this.closed) return this.#addon.devicesGone;
    this.#called('close');
    this.closed = true;
    return this.#addon.devicesGone;
  }

  /** As the addon does it: later, and never after `close`. */
  emit(event: NativeTunnelEvent): void {
    queueMicrotask(() => {
      if (!this.closed) this.#onEvent(event);
    });
  }

  #called(call: Call, ...words: unknown[]): void {
    this.#addon.called(this.options.interface, call, ...words);
  }
}
