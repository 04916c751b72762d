import type { IkeOutput } from '../../src/ike/index.ts';
import { ExchangeType } from '../../src/ike/wire/iana.ts';
import { equalBytes, toHex } from '../../src/lib/bytes.ts';
import type { EspSaPair } from '../../src/lib/esp-sa.ts';
import { after, type Instant } from '../../src/lib/time.ts';
import type { Packet } from './network.ts';
import type { HostWatcher, IkeHost, IkePair } from './pair.ts';

/** An SPI that its owner gave up without a successor: the peer cannot know before it is told, or finds out. */
interface Renounced {
  readonly at: Instant;
  /** Finds out by itself until then. */
  readonly noticedBy: Instant;
  /** The messages that tell it, as long as they have not arrived, once there are any: when all have, it knows. */
  readonly farewells: Set<string>;
  tellable: boolean;
}

/** Liveness is postponed by what still arrives, then asks, and asks again; twice over, with a margin for slow packets. */
const NOTICE_MS = 2 * 9_000 + 5_000;

/**
 * Looks at both ends of a tunnel after everything that either does: whoever sends on an SA that the other end cannot
 * decrypt is at fault. The only excuse: the other end has given up that SA for good (a crash, a DELETE without a
 * successor, a peer that it counts as dead), and word of it has not arrived. Every packet in flight is judged as well.
 */
export class Judge implements HostWatcher {
  readonly faults: string[] = [];
  readonly #tunnel: () => Pick<IkePair, 'clock' | 'initiator' | 'responder'>;
  /** By host, then by SPI. */
  readonly #renounced = new Map<IkeHost, Map<number, Renounced>>();
  /** Who announced an SPI; packets that arrive after a crash meet another host at the same address. */
  readonly #owners = new Map<number, IkeHost>();
  /** A tunnel's first SAs, as a responder uses them before its answer has arrived: nothing worked before, nothing is lost. */
  readonly #unborn = new Map<number, Instant>();
  /** What an end deletes without a successor: it may stay on that until it has the answer. */
  readonly #abandoned = new Map<number, Instant>();
  /** Who had something to send on after its last output. */
  readonly #flowing = new Set<IkeHost>();
  /** Messages that a host dropped so far, such as for an IKE SA that it does not know yet: they tell it nothing. */
  readonly #drops = new Map<IkeHost, number>();
  /** INFORMATIONAL messages of a host that have not arrived: one of them may be the DELETE of another IKE SA. */
  readonly #underWay = new Map<IkeHost, Set<string>>();
  /** What each host renounced, and which INFORMATIONAL it sent, at this very instant: they belong together. */
  #moment: { at: Instant; host: IkeHost; renounced: Renounced[]; sent: string[] } | undefined;

  constructor(tunnel: () => Pick<IkePair, 'clock' | 'initiator' | 'responder'>) {
    this.#tunnel = tunnel;
  }

  performed(host: IkeHost, out: IkeOutput): void {
    switch (out.kind) {
      case 'child-up':
        this.#owners.set(out.child.inbound.spi, host);
        this.#allowUnborn(out.child.outbound.spi);
        break;
      case 'child-outbound':
        if (!this.#flowing.has(host)) this.#allowUnborn(host.sending?.outbound.spi);
        break;
      case 'child-inbound':
        this.#owners.set(out.child.inbound.spi, host);
        break;
      case 'child-down':
        if (out.reason !== 'replaced by a rekey') this.#renounce(host, out.spiIn);
        break;
      case 'send':
        if (isInformational(out.bytes)) this.#tell(host, messageKey(out.bytes));
        break;
    }
    this.check();
    if (host.sending === undefined) this.#flowing.delete(host);
    else this.#flowing.add(host);
  }

  #allowUnborn(spi: number | undefined): void {
    if (spi !== undefined && !this.#owners.has(spi)) this.#unborn.set(spi, this.#noticedBy());
  }

  received(host: IkeHost, packet: Packet): void {
    if (packet.esp !== undefined) return this.#arrived(host, packet.esp);
    const { initiator, responder } = this.#tunnel();
    const other = host === initiator ? responder : initiator;
    const drops = [...host.connection.drops.values()].reduce((sum, count) => sum + count, 0);
    const understood = drops === (this.#drops.get(host) ?? 0);
    this.#drops.set(host, drops);
    if (understood && isInformational(packet.bytes)) this.#understood(other, messageKey(packet.bytes));
    this.check();
  }

  /** To be called when a host was killed. */
  crashed(host: IkeHost): void {
    for (const spi of host.receiving.keys()) this.#renounce(host, spi);
  }

  /** To be called before a host is told to delete its CHILD_SA. */
  deletes(host: IkeHost): void {
    if (host.sending !== undefined) this.#abandoned.set(host.sending.outbound.spi, this.#noticedBy());
  }

  check(): void {
    const { initiator, responder } = this.#tunnel();
    this.#checkOneWay(initiator, responder);
    this.#checkOneWay(responder, initiator);
  }

  #checkOneWay(sender: IkeHost, receiver: IkeHost): void {
    const sa = sender.alive ? sender.sending : undefined;
    if (sa === undefined) return;
    const { spi } = sa.outbound;
    const far = receiver.receiving.get(spi);
    if (far !== undefined && receiver.alive) {
      if (!isMirror(sa, far))
        this.#blame(`${sender.config.role} sends on ${hex(spi)} with another key than the other end has`);
      return;
    }
    if (this.#now <= (this.#abandoned.get(spi) ?? 0)) return;
    const owner = this.#owners.get(spi);
    if (owner === undefined && this.#now <= (this.#unborn.get(spi) ?? 0)) return;
    const excuse = owner && this.#renounced.get(owner)?.get(spi);
    if (excuse === undefined)
      return this.#blame(`${sender.config.role} sends on ${hex(spi)}, which the other end does not have`);
    if (excuse.tellable && excuse.farewells.size === 0)
      return this.#blame(`${sender.config.role} sends on ${hex(spi)} although it was told that it is gone`);
    if (this.#now > excuse.noticedBy)
      this.#blame(
        `${sender.config.role} sends on ${hex(spi)} and has not noticed since ${excuse.at} ms that it is gone`,
      );
  }

  /** A packet may come late, but not on an SA that was replaced too long ago, nor on one that never was. */
  #arrived(host: IkeHost, spi: number): void {
    if (host.receiving.has(spi) || this.#abandoned.has(spi)) return;
    const owner = this.#owners.get(spi);
    if (owner === undefined && this.#unborn.has(spi)) return;
    if (owner === undefined || this.#renounced.get(owner)?.has(spi) !== true)
      this.#blame(`${host.config.role} cannot decrypt a packet on ${hex(spi)}`);
  }

  #renounce(host: IkeHost, spi: number): void {
    const moment = this.#momentOf(host);
    const renounced: Renounced = {
      at: this.#now,
      noticedBy: this.#noticedBy(),
      farewells: new Set([...moment.sent, ...this.#openOf(host)]),
      tellable: moment.sent.length > 0,
    };
    moment.renounced.push(renounced);
    const known = this.#renounced.get(host) ?? new Map<number, Renounced>();
    this.#renounced.set(host, known.set(spi, renounced));
  }

  /** When an end knows by itself that the other one is gone. */
  #noticedBy(): Instant {
    const { initiator, responder } = this.#tunnel();
    const dpdIntervalMs = Math.max(initiator.config.dpdIntervalMs, responder.config.dpdIntervalMs);
    return after(this.#now, dpdIntervalMs + NOTICE_MS);
  }

  #tell(host: IkeHost, key: string): void {
    const moment = this.#momentOf(host);
    moment.sent.push(key);
    this.#openOf(host).add(key);
    for (const renounced of moment.renounced) {
      renounced.farewells.add(key);
      renounced.tellable = true;
    }
  }

  #understood(sender: IkeHost, key: string): void {
    this.#openOf(sender).delete(key);
    for (const { farewells } of this.#renounced.get(sender)?.values() ?? []) farewells.delete(key);
  }

  #openOf(host: IkeHost): Set<string> {
    const known = this.#underWay.get(host);
    if (known !== undefined) return known;
    const none = new Set<string>();
    this.#underWay.set(host, none);
    return none;
  }

  #momentOf(host: IkeHost): { renounced: Renounced[]; sent: string[] } {
    const now = this.#now;
    if (this.#moment?.at !== now || this.#moment.host !== host)
      this.#moment = { at: now, host, renounced: [], sent: [] };
    return this.#moment;
  }

  get #now(): Instant {
    return this.#tunnel().clock.now;
  }

  #blame(what: string): void {
    if (this.faults.length < 10) this.faults.push(`${this.#now} ms: ${what}`);
  }
}

const isInformational = (bytes: Uint8Array): boolean => bytes[18] === ExchangeType.Informational;

/** One message and its retransmissions: both IKE SPIs, exchange, direction and message id. */
const messageKey = (bytes: Uint8Array): string => toHex(bytes.subarray(0, 24));

/** What one end sends with, the other receives with. */
const isMirror = (sender: EspSaPair, receiver: EspSaPair): boolean =>
  equalBytes(sender.outbound.key.reveal(), receiver.inbound.key.reveal()) &&
  equalBytes(sender.outbound.salt.reveal(), receiver.inbound.salt.reveal());

const hex = (spi: number): string => `0x${spi.toString(16)}`;
