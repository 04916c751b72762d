import { Reader, Writer } from '../../lib/bytes.ts';
import { addressFamily, host32, isIpFamily, readAttributes, writeAttribute, writeU8 } from '../../lib/netlink.ts';
import type { KernelObject } from '../types.ts';
import { PROTOCOL } from '../types.ts';

type Address = Extract<KernelObject, { kind: 'address' }>;

/** linux/if_addr.h */
const Ifa = { Address: 1, Local: 2, Protocol: 11 } as const;
/** RT_SCOPE_LINK: the kernel never picks the address by itself as the source of traffic that leaves on other interfaces. */
const SCOPE_LINK = 253;

/** Payload of RTM_NEWADDR and RTM_DELADDR: `struct ifaddrmsg`, then attributes. Always a host address (/32, /128). */
export function encodeAddress(object: Address): Uint8Array {
  const { address, interfaceIndex } = object;
  const w = new Writer(32);
  w.u8(addressFamily(address))
    .u8(address.bytes.length * 8)
    .u8(0)
    .u8(SCOPE_LINK)
    .u32(host32(interfaceIndex));
  writeAttribute(w, Ifa.Local, address.bytes);
  writeAttribute(w, Ifa.Address, address.bytes);
  writeU8(w, Ifa.Protocol, PROTOCOL);
  return w.finish();
}

/** Undefined when the address does not carry our protocol number (kernels before 5.18 do not keep it). */
export function decodeAddress(payload: Uint8Array): Address | undefined {
  const r = new Reader(payload);
  const family = r.u8();
  const prefixLength = r.u8();
  r.skip(2); // flags, scope
  const interfaceIndex = host32(r.u32());
  if (!isIpFamily(family)) return undefined;
  const attributes = readAttributes(r);
  const address = attributes.ip(Ifa.Local) ?? attributes.ip(Ifa.Address);
  if (attributes.u8(Ifa.Protocol) !== PROTOCOL || address === undefined) return undefined;
  return prefixLength === address.bytes.length * 8 ? { kind: 'address', address, interfaceIndex } : undefined;
}
