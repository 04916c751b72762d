import { toHex } from '../lib/bytes.ts';
import { elapsedMs, type Instant } from '../lib/time.ts';
import type { IkeChannel } from './channel.ts';
import type { ChildSas } from './children.ts';
import type { IkeTerms } from './exchanges/exchange.ts';
import { type IkeSaState, type IkeSaTimers, termsOf } from './ike-sa-state.ts';
import { describeEspSuite, describeIkeSuite } from './suites.ts';
import type { ExportedIkeKeys, IkeView } from './types.ts';

/** The part of a connection's view that one IKE SA knows. */
export type IkeSaView = Omit<IkeView, 'state' | 'lastError' | 'retryInMs'>;

interface Viewed {
  readonly state: IkeSaState;
  readonly channel: IkeChannel;
  readonly children: ChildSas;
  readonly timers: IkeSaTimers;
  /** Why the last rekey of the IKE SA itself failed. */
  readonly rekeyError: string | undefined;
}

/** What `status` shows of an IKE SA and of the CHILD_SA that it sends on. */
export function viewOf({ state, channel, children, timers, rekeyError }: Viewed, now: Instant): IkeSaView {
  const terms = termsOf(state);
  const child = state.kind === 'established' ? children.sending : undefined;
  const msUntil = (at: Instant | undefined): number | undefined => at && Math.max(0, elapsedMs(now, at));
  return {
    rekeyError: rekeyError ?? children.rekeyError,
    lifetimeError: children.lifetimeError,
    narrowed: children.narrowed,
    spiI: toHex(channel.spiI),
    spiR: terms && toHex(terms.spiR),
    suite: terms && describeIkeSuite(terms.suite),
    ageMs: state.kind === 'established' ? elapsedMs(state.since, now) : undefined,
    rekeyInMs: msUntil(timers.get('ike-soft') ?? timers.get('ike-lifetime')),
    nat: terms && { local: terms.nat.local, remote: terms.nat.remote },
    remote: channel.remote,
    child: child && {
      spiIn: child.pair.inbound.spi,
      spiOut: child.pair.outbound.spi,
      suite: describeEspSuite(child.suite),
      ageMs: elapsedMs(child.since, now),
      rekeyInMs: msUntil(children.rekeyAt) ?? 0,
      rekeyInOctets: children.left('octets'),
      rekeyInPackets: children.left('packets'),
      encapsulation: child.pair.encapsulation,
    },
  };
}

/** The keys of an IKE SA for a debugging tap; only with `exportKeys`. */
export function exportedKeys({ spiI, spiR, suite, keys: { ei, er, ai, ar } }: IkeTerms): ExportedIkeKeys {
  const keys = { skEi: toHex(ei), skEr: toHex(er), skAi: toHex(ai), skAr: toHex(ar) };
  return { spiI: toHex(spiI), spiR: toHex(spiR), suite, ...keys };
}
