import { Reader, Writer } from '../lib/bytes.ts';
import type { IpAddress } from '../lib/ip.ts';
import { AF_INET, AF_UNSPEC, host16, host32, type NetlinkMessage, Rtm, readAttributes } from '../lib/netlink.ts';

/** One network interface as the kernel shows it. */
export interface Link {
  readonly name: string;
  readonly index: number;
  /** Octets. */
  readonly mtu: number;
  /** Administratively up (IFF_UP). */
  readonly up: boolean;
  /** Has carrier (IFF_LOWER_UP). */
  readonly carrier: boolean;
  /** IPv4 addresses, the primary one first. */
  readonly addresses: readonly IpAddress[];
  /** A default route of the main table leaves here. */
  readonly defaultRoute: boolean;
  /** Next hop of that route; undefined on point-to-point links. */
  readonly gateway: IpAddress | undefined;
}

/** All answers to one rtnetlink dump request. */
export type Dump = (request: NetlinkMessage) => Promise<readonly NetlinkMessage[]>;

/** linux/if.h, linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h */
const Iff = { Up: 0x1, LowerUp: 0x10000 } as const;
const Ifla = { Name: 3, Mtu: 4 } as const;
const Ifa = { Address: 1, Local: 2 } as const;
const Rta = { Oif: 4, Gateway: 5, Priority: 6, Multipath: 9, Table: 15 } as const;
const MAIN = 254;
const UNICAST = 1;

/** The interfaces of this network namespace. Rejects when the dump does, or when the answer is malformed (`WireError`). */
export async function readLinks(dump: Dump): Promise<Link[]> {
  const links = (await dump(request(Rtm.GetLink, AF_UNSPEC, 16))).map(decodeLink);
  const addresses = (await dump(request(Rtm.GetAddress, AF_INET, 8))).flatMap(decodeAddress);
  const defaults = (await dump(request(Rtm.GetRoute, AF_INET, 12))).flatMap(decodeDefaultRoute);
  defaults.sort((a, b) => a.metric - b.metric);
  return links.map((link) => {
    const route = defaults.find(({ index }) => index === link.index);
    return {
      ...link,
      addresses: addresses.filter(({ index }) => index === link.index).map(({ address }) => address),
      defaultRoute: route !== undefined,
      gateway: route?.gateway,
    };
  });
}

function request(type: number, family: number, headerLength: number): NetlinkMessage {
  return {
    type,
    flags: 0,
    payload: new Writer(headerLength)
      .u8(family)
      .zeros(headerLength - 1)
      .finish(),
  };
}

/** `struct ifinfomsg`: u8 family, u8 padding, u16 type, i32 index, u32 flags, u32 change. */
function decodeLink({ payload }: NetlinkMessage): Omit<Link, 'addresses' | 'defaultRoute' | 'gateway'> {
  const r = new Reader(payload);
  r.skip(4);
  const index = host32(r.u32());
  const flags = host32(r.u32());
  r.skip(4);
  const attributes = readAttributes(r);
  return {
    name: attributes.text(Ifla.Name) ?? '',
    index,
    mtu: attributes.u32(Ifla.Mtu) ?? 0,
    up: (flags & Iff.Up) !== 0,
    carrier: (flags & Iff.LowerUp) !== 0,
  };
}

/** `struct ifaddrmsg`: u8 family, prefix length, flags, scope; u32 index. */
function decodeAddress({ payload }: NetlinkMessage): { index: number; address: IpAddress }[] {
  const r = new Reader(payload);
  r.skip(4);
  const index = host32(r.u32());
  const attributes = readAttributes(r);
  const address = attributes.ip(Ifa.Local) ?? attributes.ip(Ifa.Address);
  return address === undefined ? [] : [{ index, address }];
}

interface DefaultRoute {
  readonly index: number;
  readonly gateway: IpAddress | undefined;
  readonly metric: number;
}

/** `struct rtmsg`: u8 family, destination length, source length, TOS, table, protocol, scope, type; u32 flags. */
function decodeDefaultRoute({ payload }: NetlinkMessage): DefaultRoute[] {
  const r = new Reader(payload);
  r.skip(1);
  const length = r.u8();
  r.skip(2);
  const shortTable = r.u8();
  r.skip(2);
  const type = r.u8();
  r.skip(4);
  if (length !== 0 || type !== UNICAST) return [];
  const attributes = readAttributes(r);
  if ((attributes.u32(Rta.Table) ?? shortTable) !== MAIN) return [];
  const metric = attributes.u32(Rta.Priority) ?? 0;
  const index = attributes.u32(Rta.Oif);
  if (index !== undefined) return [{ index, gateway: attributes.ip(Rta.Gateway), metric }];
  return decodeMultipath(attributes.bytes(Rta.Multipath) ?? new Uint8Array(), metric);
}

/** Array of `struct rtnexthop`: u16 length, u8 flags, u8 hops, i32 index; each with attributes of its own. */
function decodeMultipath(bytes: Uint8Array, metric: number): DefaultRoute[] {
  const r = new Reader(bytes);
  const routes: DefaultRoute[] = [];
  while (r.remaining > 0) {
    const length = host16(r.u16());
    r.skip(2);
    const index = host32(r.u32());
    routes.push({ index, gateway: readAttributes(r.sub(length - 8)).ip(Rta.Gateway), metric });
    r.skip(Math.min(-length & 3, r.remaining));
  }
  return routes;
}
