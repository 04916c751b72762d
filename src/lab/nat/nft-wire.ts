import { Writer } from '../../lib/bytes.ts';
import type { IpAddress, Prefix } from '../../lib/ip.ts';
import { AF_INET, host16, type NetlinkMessage, writeAttribute, writeText } from '../../lib/netlink.ts';

/**
 * The few nf_tables messages that make a source NAT, for linux/netfilter/nf_tables.h. Unlike rtnetlink, integers are
 * in network order here, and what one request needs is spread over several messages in one transaction.
 */

const SUBSYSTEM = 10;
const NFNL_BATCH_BEGIN = 0x10;
const NFNL_BATCH_END = 0x11;
const Message = { NewTable: 0, NewChain: 3, NewRule: 6 } as const;

const NLM_F_CREATE = 0x400;
const NLM_F_APPEND = 0x800;
const NLA_F_NESTED = 0x8000;

const Table = { Name: 1, Flags: 2 } as const;
const Chain = { Table: 1, Name: 3, Hook: 4, Type: 7 } as const;
const Hook = { Number: 1, Priority: 2 } as const;
const Rule = { Table: 1, Chain: 2, Expressions: 4 } as const;
const LIST_ELEMENT = 1;
const Expression = { Name: 1, Data: 2 } as const;
const DATA_VALUE = 1;
const Payload = { Register: 1, Base: 2, Offset: 3, Length: 4 } as const;
const Compare = { Register: 1, Operation: 2, Data: 3 } as const;
const Immediate = { Register: 1, Data: 2 } as const;
const Nat = { Type: 1, Family: 2, AddressMin: 3, Flags: 7 } as const;

const NF_INET_POST_ROUTING = 4;
/** NF_IP_PRI_NAT_SRC, which `nft` calls `srcnat`. */
const PRIORITY_SRCNAT = 100;
const REGISTER_1 = 1;
const NETWORK_HEADER = 1;
const IPV4_SOURCE_OFFSET = 12;
const EQUAL = 0;
const SNAT = 0;
/** NF_NAT_RANGE_PROTO_RANDOM_FULLY. */
const FULLY_RANDOM = 0x10;

export interface SourceNat {
  readonly table: string;
  readonly chain: string;
  /** Packets from here are translated; whole octets only (/8, /16, /24, /32). */
  readonly inside: Prefix;
  /** Their source becomes this; the port any free one, as home and branch routers do. */
  readonly outside: IpAddress;
}

export interface NftTransaction {
  readonly begin: NetlinkMessage;
  readonly messages: readonly NetlinkMessage[];
  readonly end: NetlinkMessage;
}

/** What `nft` sends for `table ip T { chain C { type nat hook postrouting priority srcnat; ip saddr INSIDE snat to OUTSIDE fully-random } }` */
export function sourceNat({ table, chain, inside, outside }: SourceNat): NftTransaction {
  return {
    begin: batch(NFNL_BATCH_BEGIN),
    messages: [
      request(Message.NewTable, NLM_F_CREATE, (w) => {
        writeText(w, Table.Name, table);
        writeBe32(w, Table.Flags, 0);
      }),
      request(Message.NewChain, NLM_F_CREATE, (w) => {
        writeText(w, Chain.Table, table);
        writeText(w, Chain.Name, chain);
        writeText(w, Chain.Type, 'nat');
        nested(w, Chain.Hook, (hook) => {
          writeBe32(hook, Hook.Number, NF_INET_POST_ROUTING);
          writeBe32(hook, Hook.Priority, PRIORITY_SRCNAT);
        });
      }),
      request(Message.NewRule, NLM_F_CREATE | NLM_F_APPEND, (w) => {
        writeText(w, Rule.Table, table);
        writeText(w, Rule.Chain, chain);
        nested(w, Rule.Expressions, (list) => {
          matchSource(list, inside);
          translateSource(list, outside);
        });
      }),
    ],
    end: batch(NFNL_BATCH_END),
  };
}

/** The first octets of the source address must be the network's. */
function matchSource(list: Writer, inside: Prefix): void {
  if (inside.length === 0 || inside.length % 8 !== 0) {
    throw new RangeError(`expected a prefix of 8, 16, 24 or 32 bits, got /${inside.length}`);
  }
  const network = inside.address.bytes.subarray(0, inside.length / 8);
  expression(list, 'payload', (w) => {
    writeBe32(w, Payload.Register, REGISTER_1);
    writeBe32(w, Payload.Base, NETWORK_HEADER);
    writeBe32(w, Payload.Offset, IPV4_SOURCE_OFFSET);
    writeBe32(w, Payload.Length, network.length);
  });
  expression(list, 'cmp', (w) => {
    writeBe32(w, Compare.Register, REGISTER_1);
    writeBe32(w, Compare.Operation, EQUAL);
    nested(w, Compare.Data, (data) => writeAttribute(data, DATA_VALUE, network));
  });
}

function translateSource(list: Writer, outside: IpAddress): void {
  expression(list, 'immediate', (w) => {
    writeBe32(w, Immediate.Register, REGISTER_1);
    nested(w, Immediate.Data, (data) => writeAttribute(data, DATA_VALUE, outside.bytes));
  });
  expression(list, 'nat', (w) => {
    writeBe32(w, Nat.Type, SNAT);
    writeBe32(w, Nat.Family, AF_INET);
    writeBe32(w, Nat.AddressMin, REGISTER_1);
    writeBe32(w, Nat.Flags, FULLY_RANDOM);
  });
}

function expression(list: Writer, name: string, data: (w: Writer) => void): void {
  nested(list, LIST_ELEMENT, (element) => {
    writeText(element, Expression.Name, name);
    nested(element, Expression.Data, data);
  });
}

function request(type: number, flags: number, attributes: (w: Writer) => void): NetlinkMessage {
  const w = new Writer();
  familyHeader(w, AF_INET, 0);
  attributes(w);
  return { type: (SUBSYSTEM << 8) | type, flags, payload: w.finish() };
}

function batch(type: number): NetlinkMessage {
  const w = new Writer(4);
  familyHeader(w, 0, SUBSYSTEM);
  return { type, flags: 0, payload: w.finish() };
}

/** `struct nfgenmsg`: family, version 0, resource id. */
function familyHeader(w: Writer, family: number, resource: number): void {
  w.u8(family).u8(0).u16(resource);
}

function nested(w: Writer, type: number, attributes: (inner: Writer) => void): void {
  const inner = new Writer();
  attributes(inner);
  writeAttribute(w, type | NLA_F_NESTED, inner.finish());
}

function writeBe32(w: Writer, type: number, value: number): void {
  w.u16(host16(8)).u16(host16(type)).u32(value);
}
