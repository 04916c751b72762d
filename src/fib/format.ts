import { formatIp, formatKey, formatPrefix } from '../lib/ip.ts';
import { type GroupMember, type KernelObject, MAIN_TABLE, type Resilience } from './types.ts';

/** Name of an interface by its index; for text only. */
export type InterfaceNames = (interfaceIndex: number) => string;
const byIndex: InterfaceNames = (interfaceIndex) => `if${interfaceIndex}`;

/** One line in the words of `ip address|nexthop|route|rule`. Complete: two objects are equal when their lines are. */
export function formatObject(object: KernelObject, names: InterfaceNames = byIndex): string {
  switch (object.kind) {
    case 'address':
      return `address ${formatIp(object.address)} dev ${names(object.interfaceIndex)}`;
    case 'nexthop':
      return `nexthop id ${object.id} dev ${names(object.interfaceIndex)}`;
    case 'nexthop-group':
      return `nexthop id ${object.id} group ${object.members.map(formatMember).join('/')}${formatResilience(object.resilience)}`;
    case 'route': {
      const source = object.source === undefined ? '' : ` src ${formatIp(object.source)}`;
      const target = object.nexthop === 'blackhole' ? 'blackhole' : `nhid ${object.nexthop}`;
      return `route ${formatKey(object.to)} table ${object.table} ${target}${source}`;
    }
    case 'rule':
      return formatRule(object);
  }
}

export const formatObjects = (objects: readonly KernelObject[], names?: InterfaceNames): string[] =>
  objects.map((object) => formatObject(object, names));

/** What the kernel tells objects of one kind apart by: it holds at most one of each. */
export function identity(object: KernelObject): string {
  switch (object.kind) {
    case 'nexthop':
    case 'nexthop-group':
      return `nexthop id ${object.id}`;
    case 'route':
      return `route ${formatKey(object.to)} table ${object.table}`;
    default:
      return formatObject(object);
  }
}

const formatMember = ({ id, weight }: GroupMember): string => (weight === 1 ? `${id}` : `${id},${weight}`);

function formatResilience(resilience: Resilience | undefined): string {
  if (resilience === undefined) return '';
  const { buckets, idleMs, rebalanceMs } = resilience;
  return ` type resilient buckets ${buckets} idle_timer ${idleMs / 1000} unbalanced_timer ${rebalanceMs / 1000}`;
}

function formatRule(rule: Extract<KernelObject, { kind: 'rule' }>): string {
  const words = [`rule ${rule.priority}:`];
  if (rule.mark !== undefined) words.push(`fwmark 0x${rule.mark.value.toString(16)}/0x${rule.mark.mask.toString(16)}`);
  if (rule.source !== undefined) words.push(`from ${formatPrefix(rule.source)}`);
  if (rule.destination !== undefined) words.push(`to ${formatPrefix(rule.destination)}`);
  if (rule.interface !== undefined) words.push(`iif ${rule.interface}`);
  words.push(rule.table === 'blackhole' ? 'blackhole' : `lookup ${rule.table === MAIN_TABLE ? 'main' : rule.table}`);
  return words.join(' ');
}
