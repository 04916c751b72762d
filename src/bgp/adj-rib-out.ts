import { type Prefix, prefixKey } from '../lib/ip.ts';
import type { BgpConfig } from './types.ts';
import type { Attributes, WireContext } from './wire/attributes.ts';
import { HEADER_OCTETS, MAX_MESSAGE_OCTETS } from './wire/iana.ts';
import { prefixOctets } from './wire/nlri.ts';
import type { UpdateMessage } from './wire/update.ts';

export interface RibDifference {
  readonly announced: readonly Prefix[];
  readonly withdrawn: readonly Prefix[];
}

/** What the peer should know of us, and what it was told. One set of attributes serves all own networks. */
export class AdjRibOut {
  #desired = new Map<number | string, Prefix>();
  #sent = new Map<number | string, Prefix>();

  set(prefixes: readonly Prefix[]): void {
    this.#desired = new Map(prefixes.map((prefix) => [prefixKey(prefix), prefix]));
  }

  /** The difference, which counts as told from now on. */
  take(): RibDifference {
    const announced = [...this.#desired].filter(([key]) => !this.#sent.has(key)).map(([, prefix]) => prefix);
    const withdrawn = [...this.#sent].filter(([key]) => !this.#desired.has(key)).map(([, prefix]) => prefix);
    this.#sent = new Map(this.#desired);
    return { announced, withdrawn };
  }

  /** The peer knows nothing (any more), or asks for all of it again. */
  forget(): void {
    this.#sent.clear();
  }
}

/** Room for prefixes beside the header, both length fields and attributes (own AS and next hop: far below 64). */
const PREFIX_BUDGET_OCTETS = MAX_MESSAGE_OCTETS - HEADER_OCTETS - 4 - 64;

/** As few UPDATEs as can tell the difference, withdrawals first. IPv4 unicast. */
export function differenceUpdates(difference: RibDifference, attributes: Attributes): UpdateMessage[] {
  return [
    ...packed(difference.withdrawn).map((withdrawn) => ({
      withdrawn,
      attributes: {},
      unknown: [],
      nlri: [],
      faults: [],
    })),
    ...packed(difference.announced).map((nlri) => ({ withdrawn: [], attributes, unknown: [], nlri, faults: [] })),
  ];
}

/** The same for all own networks. AS4_PATH goes along when AS_PATH cannot hold our AS number (RFC 6793 §4.2.2). */
export function exportAttributes(config: BgpConfig, context: WireContext): Attributes {
  const asPath = [{ type: 'sequence', asns: [config.localAs] }] as const;
  const common = { origin: 'igp', asPath, nextHop: config.localAddress } as const;
  return context.asnOctets === 2 && config.localAs > 0xffff ? { ...common, as4Path: asPath } : common;
}

/** RFC 4724 §2: for IPv4 unicast an UPDATE with nothing in it. */
export const END_OF_RIB: UpdateMessage = { withdrawn: [], attributes: {}, unknown: [], nlri: [], faults: [] };

function packed(prefixes: readonly Prefix[]): Prefix[][] {
  const batches: Prefix[][] = [];
  let batch: Prefix[] = [];
  let octets = 0;
  for (const prefix of prefixes) {
    const size = prefixOctets(prefix);
    if (octets + size > PREFIX_BUDGET_OCTETS || batch.length === 0) {
      batch = [];
      batches.push(batch);
      octets = 0;
    }
    batch.push(prefix);
    octets += size;
  }
  return batches;
}
