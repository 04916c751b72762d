import type { EspSaPair } from '../lib/esp-sa.ts';
import { formatIp, ip } from '../lib/ip.ts';
import type { Instant } from '../lib/time.ts';
import type { EspKeys } from './keymat.ts';
import type { ChildSuite } from './types.ts';
import type { TrafficSelector } from './wire/ts.ts';

/** What an exchange agreed on for a CHILD_SA; the IKE SA adds where to send and how to encapsulate. */
export interface ChildTerms {
  readonly suite: ChildSuite;
  readonly spiIn: number;
  readonly spiOut: number;
  readonly keysIn: EspKeys;
  readonly keysOut: EspKeys;
}

/** A CHILD_SA in use: the pair that the data plane holds, and since when. */
export interface ChildSa {
  readonly suite: ChildSuite;
  readonly pair: EspSaPair;
  readonly since: Instant;
}

/** Builds the pair of SAs for the data plane. */
export function espSaPair(terms: ChildTerms, where: Pick<EspSaPair, 'encapsulation' | 'remote'>): EspSaPair {
  const { esn } = terms.suite;
  return {
    inbound: { spi: terms.spiIn, ...terms.keysIn, esn },
    outbound: { spi: terms.spiOut, ...terms.keysOut, esn },
    ...where,
  };
}

/** The whole of IPv4, both ways: the tunnel is route-based, and routes decide what enters it. */
export const ANY_TO_ANY: readonly TrafficSelector[] = [
  {
    kind: 'range',
    protocol: 0,
    startPort: 0,
    endPort: 65535,
    start: ip('0.0.0.0'),
    end: ip('255.255.255.255'),
  },
];

/** True when the selectors let every IPv4 packet through. */
export function coversAny(selectors: readonly TrafficSelector[]): boolean {
  return selectors.some(
    (s) =>
      s.kind === 'range' &&
      s.protocol === 0 &&
      s.startPort === 0 &&
      s.endPort === 65535 &&
      s.start.family === 4 &&
      s.start.bytes.every((octet) => octet === 0) &&
      s.end.bytes.every((octet) => octet === 255),
  );
}

/** Such as `10.0.0.0-10.0.255.255`; protocol and ports only when they are narrowed. */
export function describeSelectors(selectors: readonly TrafficSelector[]): string {
  const text = selectors.map((s) => {
    if (s.kind === 'unknown') return `selector type ${s.tsType}`;
    const ports = s.startPort === 0 && s.endPort === 65535 ? '' : ` ports ${s.startPort}-${s.endPort}`;
    const protocol = s.protocol === 0 ? '' : ` protocol ${s.protocol}`;
    return `${formatIp(s.start)}-${formatIp(s.end)}${protocol}${ports}`;
  });
  return text.length === 0 ? 'nothing' : text.join(', ');
}
