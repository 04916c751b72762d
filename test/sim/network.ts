import type { Endpoint } from '../../src/lib/esp-sa.ts';
import { equalIp, type IpAddress } from '../../src/lib/ip.ts';
import { after, type Instant } from '../../src/lib/time.ts';
import type { SeededRandom, VirtualClock } from './clock.ts';

export interface Packet {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  /** Its SPI, of an ESP packet; `bytes` is empty then. */
  readonly esp?: number;
}

/** What happens to packets; probabilities are 0 to 1. A spread of delays reorders. */
export interface Weather {
  readonly loss: number;
  readonly duplication: number;
  readonly delayMs: { readonly min: number; readonly max: number };
}

export const CALM: Weather = { loss: 0, duplication: 0, delayMs: { min: 5, max: 5 } };

/** Hosts joined by one link with loss, duplication, delay and reordering, repeatable by seed. */
export class SimulatedNetwork {
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  #hosts: { readonly address: IpAddress; readonly receive: (packet: Packet) => void }[] = [];
  readonly #record: boolean;
  weather: Weather;
  /** Sees and may replace or drop (`undefined`) every packet as it is sent; a NAT or an attacker. */
  middlebox: (packet: Packet) => Packet | undefined = (packet) => packet;
  /** Every IKE packet that was sent, before the middlebox, and when; empty without `record`. */
  readonly sent: (Packet & { readonly at: Instant })[] = [];

  constructor(clock: VirtualClock, random: SeededRandom, weather: Weather = CALM, record = true) {
    this.#clock = clock;
    this.#random = random;
    this.#record = record;
    this.weather = weather;
  }

  /** Whoever had this address before is off the network. */
  attach(address: IpAddress, receive: (packet: Packet) => void): void {
    this.#hosts = [...this.#hosts.filter((host) => !equalIp(host.address, address)), { address, receive }];
  }

  send(packet: Packet): void {
    if (this.#record && packet.esp === undefined) this.sent.push({ ...packet, at: this.#clock.now });
    const passed = this.middlebox(packet);
    if (passed !== undefined) this.inject(passed);
  }

  /** Puts a packet on the link behind the middlebox; also for replays and forgeries. */
  inject(packet: Packet): void {
    const { loss, duplication } = this.weather;
    const copies = this.#random.fraction() < duplication ? 2 : 1;
    for (let i = 0; i < copies; i++) if (this.#random.fraction() >= loss) this.#deliver(packet);
  }

  #deliver(packet: Packet): void {
    const { min, max } = this.weather.delayMs;
    const at = after(this.#clock.now, min + this.#random.fraction() * (max - min));
    this.#clock.schedule(at, () => {
      for (const host of this.#hosts) if (equalIp(host.address, packet.to.address)) host.receive(packet);
    });
  }
}

/** A masquerading NAT: hosts inside appear as `outside` with another port. Give `translate` to a middlebox. */
export class Nat {
  readonly #inside: IpAddress;
  readonly #outside: IpAddress;
  readonly #ports = new Map<number, number>();
  #nextPort = 40_000;

  constructor(inside: IpAddress, outside: IpAddress) {
    this.#inside = inside;
    this.#outside = outside;
  }

  /** Forgets every mapping, as a restarted NAT does. */
  forget(): void {
    this.#ports.clear();
  }

  translate = (packet: Packet): Packet | undefined => {
    if (equalIp(packet.from.address, this.#inside))
      return { ...packet, from: { address: this.#outside, port: this.#outsidePort(packet.from.port) } };
    if (!equalIp(packet.to.address, this.#outside)) return packet;
    const mapping = [...this.#ports].find(([, outsidePort]) => outsidePort === packet.to.port);
    return mapping && { ...packet, to: { address: this.#inside, port: mapping[0] } };
  };

  #outsidePort(insidePort: number): number {
    const known = this.#ports.get(insidePort);
    if (known !== undefined) return known;
    const port = this.#nextPort++;
    this.#ports.set(insidePort, port);
    return port;
  }
}
