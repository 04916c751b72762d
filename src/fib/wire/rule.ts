import { Reader, Writer } from '../../lib/bytes.ts';
import { maskedPrefix, type Prefix } from '../../lib/ip.ts';
import {
  AF_INET,
  type Attributes,
  addressFamily,
  host32,
  isIpFamily,
  readAttributes,
  writeAttribute,
  writeText,
  writeU8,
  writeU32,
} from '../../lib/netlink.ts';
import type { KernelObject } from '../types.ts';
import { PROTOCOL, RULE_PRIORITY } from '../types.ts';

type Rule = Extract<KernelObject, { kind: 'rule' }>;

/** linux/fib_rules.h */
const Fra = {
  Destination: 1,
  Source: 2,
  InputInterface: 3,
  Priority: 6,
  Mark: 10,
  Table: 15,
  MarkMask: 16,
  Protocol: 21,
} as const;
/** FR_ACT_*. */
const Action = { ToTable: 1, Blackhole: 6 } as const;
const INVERT = 2;

/** Payload of RTM_NEWRULE and RTM_DELRULE: `struct fib_rule_hdr`, then attributes. */
export function encodeRule(object: Rule): Uint8Array {
  const { source, destination, mark } = object;
  const address = (source ?? destination)?.address;
  const w = new Writer(96);
  w.u8(address === undefined ? AF_INET : addressFamily(address));
  w.u8(destination?.length ?? 0)
    .u8(source?.length ?? 0)
    .u8(0); // lengths, TOS
  w.u8(0).u8(0).u8(0); // table goes into its attribute; reserved
  w.u8(object.table === 'blackhole' ? Action.Blackhole : Action.ToTable).u32(0); // flags
  writeU32(w, Fra.Priority, object.priority);
  if (object.table !== 'blackhole') writeU32(w, Fra.Table, object.table);
  writeU8(w, Fra.Protocol, PROTOCOL);
  if (destination !== undefined) writeAttribute(w, Fra.Destination, destination.address.bytes);
  if (source !== undefined) writeAttribute(w, Fra.Source, source.address.bytes);
  if (object.interface !== undefined) writeText(w, Fra.InputInterface, object.interface);
  if (mark !== undefined) {
    writeU32(w, Fra.Mark, mark.value);
    writeU32(w, Fra.MarkMask, mark.mask);
  }
  return w.finish();
}

/** Undefined unless protocol and priority are ours and the rule looks up a table or drops, which is all we ever make. */
export function decodeRule(payload: Uint8Array): Rule | undefined {
  const r = new Reader(payload);
  const family = r.u8();
  const destinationLength = r.u8();
  const sourceLength = r.u8();
  r.skip(1); // TOS
  const shortTable = r.u8();
  r.skip(2);
  const action = r.u8();
  const flags = host32(r.u32());
  const drops = action === Action.Blackhole;
  if (!isIpFamily(family) || (action !== Action.ToTable && !drops) || (flags & INVERT) !== 0) return undefined;
  const attributes = readAttributes(r);
  const priority = attributes.u32(Fra.Priority) ?? 0;
  if (attributes.u8(Fra.Protocol) !== PROTOCOL) return undefined;
  if (priority < RULE_PRIORITY.mark || priority > RULE_PRIORITY.last) return undefined;
  return {
    kind: 'rule',
    priority,
    table: drops ? 'blackhole' : (attributes.u32(Fra.Table) ?? shortTable),
    source: decodePrefix(attributes, Fra.Source, sourceLength),
    destination: decodePrefix(attributes, Fra.Destination, destinationLength),
    interface: attributes.text(Fra.InputInterface),
    mark: decodeMark(attributes),
  };
}

function decodePrefix(attributes: Attributes, type: number, length: number): Prefix | undefined {
  const address = attributes.ip(type);
  return address && maskedPrefix(address, length);
}

function decodeMark(attributes: Attributes): Rule['mark'] {
  const value = attributes.u32(Fra.Mark);
  return value === undefined ? undefined : { value, mask: attributes.u32(Fra.MarkMask) ?? 0xffffffff };
}
