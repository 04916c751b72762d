import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { END_OF_RIB } from '../../src/bgp/adj-rib-out.ts';
import type { Attributes } from '../../src/bgp/wire/attributes.ts';
import { encodeMessage } from '../../src/bgp/wire/message.ts';
import { decodeUpdate, type UpdateMessage } from '../../src/bgp/wire/update.ts';
import { concat, Reader, toHex, Writer } from '../../src/lib/bytes.ts';
import {
  ip,
  ipFromBytes,
  maskedPrefix,
  type Prefix,
  type PrefixKey,
  prefix,
  prefixesOverlap,
  prefixKey,
} from '../../src/lib/ip.ts';
import { MICROSOFT_ASN } from '../../test/netns/bird.ts';
import { ROOT } from '../../test/netns/repository.ts';

/** A table that both zones announce. */
export interface Table {
  readonly name: string;
  readonly prefixes: readonly Prefix[];
  /** What a speaker with this next hop says, End-of-RIB included. */
  updates(nextHop: string): Uint8Array;
}

/** As many prefixes as fit into an UPDATE beside short attributes. */
const PREFIXES_PER_UPDATE = 900;
/** With many AS paths 4096 octets are not reached. */
const LONGEST_RUN = 700;
const CONTEXT = { asnOctets: 4 } as const;
/** What no router with these addresses takes: its own networks, and addresses that are never routed. */
const NOT_ROUTED = ['0.0.0.0/8', '10.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '192.0.2.0/24', '192.168.0.0/16']
  .concat(['198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/3', '192.0.3.0/24'])
  .map((text) => prefix(text));

/** The first of `count` /24 from 16.0.0.0 up, all with the same attributes. */
export function plainTable(count: number): Table {
  const prefixes = Array.from({ length: count }, (_, i) => maskedPrefix(address(0x10000000 + i * 256), 24));
  const attributes: Attributes = { origin: 'igp', asPath: [{ type: 'sequence', asns: [MICROSOFT_ASN] }] };
  return table(`${count / 1000}k`, [{ attributes, prefixes }], PREFIXES_PER_UPDATE);
}

/** The table that the route collector of RIPE saw on 2002-07-22, behind the AS of Microsoft. */
export function realTable(): Table {
  const groups = new Map<string, Group>();
  const seen = new Set<number | string>();
  for (const { to, attributes } of dumpedRoutes()) {
    if (seen.has(prefixKey(to)) || to.length === 0 || NOT_ROUTED.some((each) => prefixesOverlap(each, to))) continue;
    seen.add(prefixKey(to));
    const key = toHex(attributes);
    const group = groups.get(key) ?? { attributes: behindMicrosoft(attributes), prefixes: [] };
    group.prefixes.push(to);
    groups.set(key, group);
  }
  return table('real table', [...groups.values()], LONGEST_RUN);
}

interface Group {
  readonly attributes: Attributes;
  readonly prefixes: Prefix[];
}

function table(name: string, groups: readonly Group[], longestRun: number): Table {
  return {
    name,
    prefixes: groups.flatMap((group) => group.prefixes),
    updates(nextHop) {
      const messages = groups.flatMap(({ attributes, prefixes }) => {
        const update = { withdrawn: [], unknown: [], attributes: { ...attributes, nextHop: ip(nextHop) } };
        return chunks(prefixes.map(prefixKey), longestRun).map((nlri) => encoded({ ...update, nlri, faults: [] }));
      });
      return concat(...messages, encoded({ ...END_OF_RIB, faults: [] }));
    },
  };
}

/** Writes what a speaker says to a file. */
export async function writeUpdates(directory: string, { updates }: Table, nextHop: string): Promise<string> {
  const file = join(directory, `updates-${nextHop}`);
  await writeFile(file, updates(nextHop));
  return file;
}

const encoded = (update: UpdateMessage): Uint8Array => encodeMessage({ kind: 'update', update }, CONTEXT);

/** Records of type TABLE_DUMP, subtype AFI_IPv4: RFC 6396 §4.2. */
function* dumpedRoutes(): Generator<{ readonly to: Prefix; readonly attributes: Uint8Array }> {
  const r = new Reader(gunzipSync(readFileSync(join(ROOT, 'test/vectors/bgp/bview.20020722.2337.gz'))));
  while (r.remaining > 0) {
    r.skip(4); // time
    const type = r.u16();
    const subtype = r.u16();
    const record = r.sub(r.u32());
    if (type !== 12 || subtype !== 1) continue;
    record.skip(4); // view, sequence number
    const network = ipFromBytes(record.take(4));
    const to = maskedPrefix(network, record.u8());
    record.skip(1 + 4 + 4 + 2); // status, time, peer, peer's AS
    yield { to, attributes: record.take(record.u16()) };
  }
}

function behindMicrosoft(raw: Uint8Array): Attributes {
  const body = new Writer().u16(0).u16(raw.length).put(raw).finish();
  const decoded = decodeUpdate(body, { asnOctets: 2 });
  if (!decoded.ok) throw new Error(`the recorded attributes ${toHex(raw)} are malformed: ${decoded.error.detail}`);
  const { origin = 'incomplete', asPath = [], communities, med } = decoded.value.attributes;
  return {
    origin,
    asPath: [{ type: 'sequence', asns: [MICROSOFT_ASN] }, ...asPath],
    ...(communities !== undefined && { communities }),
    ...(med !== undefined && { med }),
  };
}

const address = (value: number) => ipFromBytes(new Writer(4).u32(value).finish());

function chunks(prefixes: readonly PrefixKey[], size: number): PrefixKey[][] {
  return Array.from({ length: Math.ceil(prefixes.length / size) }, (_, i) => prefixes.slice(i * size, (i + 1) * size));
}
