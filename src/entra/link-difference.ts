import { type JsonRecord, recordAt } from './json.ts';
import { keysOfGraphLink, toGraphLink } from './mapping.ts';
import { quote } from './quote.ts';
import type { WantedDeviceLink } from './types.ts';

/** One property in which the tenant's link is not the wanted one. Values of keys are never in it. */
export interface LinkDifference {
  readonly property: string;
  readonly expected: string;
  readonly got: string;
  /** The tunnel or its BGP session cannot work like this. */
  readonly breaksTunnel: boolean;
}

interface ComparedProperty {
  readonly path: readonly [string] | readonly [string, string];
  readonly breaksTunnel: boolean;
}

/** Every property the box decides, except the keys. */
const COMPARED: readonly ComparedProperty[] = [
  { path: ['ipAddress'], breaksTunnel: true },
  { path: ['deviceVendor'], breaksTunnel: false },
  { path: ['bandwidthCapacityInMbps'], breaksTunnel: false },
  { path: ['bgpConfiguration', 'localIpAddress'], breaksTunnel: true },
  { path: ['bgpConfiguration', 'peerIpAddress'], breaksTunnel: true },
  { path: ['bgpConfiguration', 'asn'], breaksTunnel: true },
  { path: ['redundancyConfiguration', 'redundancyTier'], breaksTunnel: true },
  { path: ['redundancyConfiguration', 'zoneLocalIpAddress'], breaksTunnel: true },
  { path: ['tunnelConfiguration', '@odata.type'], breaksTunnel: true },
  { path: ['tunnelConfiguration', 'saLifeTimeSeconds'], breaksTunnel: false },
  { path: ['tunnelConfiguration', 'ikeEncryption'], breaksTunnel: true },
  { path: ['tunnelConfiguration', 'ikeIntegrity'], breaksTunnel: true },
  { path: ['tunnelConfiguration', 'dhGroup'], breaksTunnel: true },
  { path: ['tunnelConfiguration', 'ipSecEncryption'], breaksTunnel: true },
  { path: ['tunnelConfiguration', 'ipSecIntegrity'], breaksTunnel: true },
  { path: ['tunnelConfiguration', 'pfsGroup'], breaksTunnel: true },
];

/** Two names of one thing: both are MODP-2048, IANA group 14. */
const SYNONYMS: Readonly<Record<string, string>> = { dhgroup2048: 'dhgroup14', pfs2048: 'pfs14' };

/** What keeps `held`, a link as Graph shows it, from being the wanted one. Empty: nothing. */
export function linkDifferences(wanted: WantedDeviceLink, held: JsonRecord): LinkDifference[] {
  const target = toGraphLink(wanted);
  const differences = COMPARED.flatMap(({ path, breaksTunnel }) => {
    const expected = shown(valueAt(target, path));
    const got = shown(valueAt(held, path));
    // A member newer than the service's answer: it cannot be compared, so it is left alone.
    if (same(expected, got) || got === 'unknownFutureValue') return [];
    return [{ property: path.join('.'), expected, got, breaksTunnel }];
  });
  return [...differences, ...keyDifferences(wanted, held)];
}

/** A key that Graph does not show cannot be compared; but it cannot be taken over either. */
function keyDifferences(wanted: WantedDeviceLink, held: JsonRecord): LinkDifference[] {
  return keysOfGraphLink(held, wanted.psks.length).flatMap((key, index) => {
    const property = index === 0 ? 'preSharedKey' : 'zoneRedundancyPreSharedKey';
    if (key === undefined) {
      return wanted.psksAreFresh === true
        ? [{ property, expected: 'a key to take over', got: 'none shown', breaksTunnel: true }]
        : [];
    }
    if (wanted.psksAreFresh === true || key === wanted.psks[index]?.revealText()) return [];
    return [{ property, expected: 'the stored key', got: 'another one', breaksTunnel: true }];
  });
}

function valueAt(link: JsonRecord, [first, second]: ComparedProperty['path']): unknown {
  return second === undefined ? link[first] : recordAt(link, first)[second];
}

const shown = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? quote(String(value)) : 'none';

const same = (a: string, b: string): boolean => canonical(a) === canonical(b);

/** Documentation of different years spells enum members in different cases. */
function canonical(value: string): string {
  const lower = value.toLowerCase();
  return SYNONYMS[lower] ?? lower;
}

/** `bgpConfiguration.asn is 65011, expected 65010; …` */
export const describeDifferences = (differences: readonly LinkDifference[]): string =>
  differences.map(({ property, expected, got }) => `${property} is ${got}, expected ${expected}`).join('; ');
