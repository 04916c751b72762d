import { readFile } from 'node:fs/promises';
import type { Config } from '../config/types.ts';
import type { Sysctl } from '../io/sysctl.ts';
import type { Alarms } from './alarms.ts';
import type { EventLog } from './event-log.ts';

/** Hash addresses and ports: one LAN host then uses both tunnels (ip-sysctl: fib_multipath_hash_policy). */
const HASH_POLICY = { key: 'net/ipv4/fib_multipath_hash_policy', value: '1' } as const;
const FORWARDING = '/proc/sys/net/ipv4/ip_forward';

/** The kernel settings a branch needs, set where they are ours to set; the rest becomes an alarm. */
export class KernelSettings {
  readonly #sysctl: Pick<Sysctl, 'set' | 'restore'>;
  readonly #alarms: Alarms;
  readonly #log: EventLog;

  constructor(sysctl: Pick<Sysctl, 'set' | 'restore'>, alarms: Alarms, log: EventLog) {
    this.#sysctl = sysctl;
    this.#alarms = alarms;
    this.#log = log;
  }

  /** Never rejects. */
  async prepare(config: Config): Promise<void> {
    await this.#set('kernel-hash-policy', HASH_POLICY.key, HASH_POLICY.value);
    if (config.networks.length === 0 || (await forwards())) this.#alarms.clear('kernel-forwarding');
    else {
      this.#raise(
        'kernel-forwarding',
        'this machine does not forward IPv4, so no LAN traffic reaches the tunnels: sysctl -w net.ipv4.ip_forward=1',
      );
    }
  }

  /** Return traffic may come on either tunnel, and nothing of IPv6 may leave by itself. Never rejects. */
  async prepareDevice(device: string): Promise<void> {
    await this.#set(`kernel-rp-filter-${device}`, `net/ipv4/conf/${device}/rp_filter`, '2');
    await this.#set(`kernel-ipv6-${device}`, `net/ipv6/conf/${device}/disable_ipv6`, '1');
  }

  async restore(): Promise<void> {
    await this.#sysctl.restore();
  }

  async #set(alarm: string, key: string, value: string): Promise<void> {
    try {
      await this.#sysctl.set(key, value);
      this.#alarms.clear(alarm);
    } catch (error) {
      this.#raise(alarm, error instanceof Error ? error.message : String(error));
    }
  }

  #raise(code: string, message: string): void {
    if (this.#alarms.raise(code, 'warning', message)) this.#log.add('warn', code, message);
  }
}

/** A machine that does not say counts as one that does not. */
async function forwards(): Promise<boolean> {
  const value = await readFile(FORWARDING, 'utf8').catch(() => '0');
  return value.trim() === '1';
}
