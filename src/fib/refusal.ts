import { formatObject, type InterfaceNames } from './format.ts';
import type { KernelAbilities, KernelChange } from './types.ts';

/** The kernel's no to one request. */
export interface Refusal {
  /** errno name, such as `EINVAL`. */
  readonly code: string;
  /** The kernel's own words (extended acknowledgement); empty when it gave none. */
  readonly detail: string;
}

/** A kernel object that is not as wanted; `code` is stable, `message` says which object, what the kernel said, what to do. */
export interface FibProblem {
  readonly code: 'FIB_INTERFACE_DOWN' | 'FIB_CHANGE_REFUSED' | 'FIB_NETLINK_FAILED' | 'FIB_INPUT_REFUSED';
  readonly message: string;
  /** The tunnel it concerns; left out when it concerns all of them. */
  readonly interface?: string;
}

/** True when the refused change left the kernel as wanted all the same. */
export function isHarmless({ op }: KernelChange, { code }: Refusal): boolean {
  // What we meant to delete went by itself: with its device, or with a nexthop.
  return op === 'delete' && ['ENOENT', 'ESRCH', 'EADDRNOTAVAIL', 'ENODEV'].includes(code);
}

export interface RefusedChange {
  readonly change: KernelChange;
  readonly refusal: Refusal;
}

/** What older kernels say to groups, and what they lack then. */
const MISSING = new Map<string, keyof KernelAbilities>([
  ['Unknown attribute type', 'resilientGroups'],
  ['Invalid group type', 'resilientGroups'],
  ['Reserved fields in nexthop_grp must be 0', 'wideWeights'],
]);

/** The ability that a refused group shows this kernel not to have. */
export function missingAbility({ change: { object }, refusal }: RefusedChange): keyof KernelAbilities | undefined {
  return object.kind === 'nexthop-group' ? MISSING.get(refusal.detail) : undefined;
}

export function describeRefusal(change: KernelChange, refusal: Refusal, names: InterfaceNames): FibProblem {
  const words = refusal.detail === '' ? refusal.code : `${refusal.detail} (${refusal.code})`;
  const { object } = change;
  const what = `${change.op} "${formatObject(object, names)}"`;
  const ofOneTunnel = object.kind === 'nexthop' || object.kind === 'address';
  return {
    ...(ofOneTunnel && { interface: names(object.interfaceIndex) }),
    code: refusal.code === 'ENETDOWN' ? 'FIB_INTERFACE_DOWN' : 'FIB_CHANGE_REFUSED',
    message: `The kernel refused to ${what}: ${words}. ${remedy(change, refusal.code)}`,
  };
}

function remedy({ object }: KernelChange, code: string): string {
  switch (code) {
    case 'ENETDOWN':
      return 'It is tried again as soon as the interface has carrier.';
    case 'EPERM':
    case 'EACCES':
      return 'The daemon needs CAP_NET_ADMIN in this network namespace.';
    case 'ENODEV':
      return 'The interface is gone; it is tried again when the tunnel is back.';
    case 'EEXIST':
      return object.kind === 'nexthop' || object.kind === 'nexthop-group'
        ? `Another program holds this id; look at "ip nexthop show id ${object.id}" and remove it there.`
        : 'Another program made the same object; remove it there.';
    case 'EOPNOTSUPP':
      return 'Nexthop objects need Linux 5.3 or later with CONFIG_IP_MULTIPLE_TABLES and CONFIG_IP_ROUTE_MULTIPATH.';
    default:
      return 'It is tried again; if this stays, compare with "ip nexthop", "ip route show table 7700" (and 7701) and "ip rule".';
  }
}
