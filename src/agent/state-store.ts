import type { Random } from '../crypto/types.ts';
import type { RegisteredLink } from '../entra/types.ts';
import { formatIp, type IpAddress, parseIp } from '../lib/ip.ts';
import { Secret } from '../lib/secret.ts';

/** Where state lives: JSON documents by name, written atomically and readable by the owner only. */
export interface StateDocuments {
  read(name: string): Promise<unknown>;
  write(name: string, value: unknown): Promise<void>;
}

/** Microsoft's last answer, kept so that a restart does not wait for Graph. */
export interface Registration {
  readonly remoteNetworkId: string;
  readonly links: readonly RegisteredLink[];
}

/** A WAN as an IKE peer saw it last: its own address, and the one in front of the NAT; the same where there is none. */
export interface OutsideAddress {
  readonly inside: IpAddress;
  readonly outside: IpAddress;
}

const REGISTRATION_DOCUMENT = 'registration.json';
const PSK_DOCUMENT = 'psk.json';
const OUTSIDE_DOCUMENT = 'outside.json';
const PSK_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** 48 letters and digits carry 285 bits. */
const PSK_LENGTH = 48;

/** strongSwan and the gateways built on it read such a beginning as a mark of hexadecimal or Base64, and use another key. */
const PSK_MARK = /^0[xs]/i;

/** A uniform pre-shared key of letters and digits only, and of no other meaning: what every gateway is known to accept. */
export function generatePsk(random: Random): Secret {
  for (;;) {
    const text = lettersAndDigits(random);
    if (!PSK_MARK.test(text)) return Secret.fromText(text);
  }
}

function lettersAndDigits(random: Random): string {
  let text = '';
  while (text.length < PSK_LENGTH) {
    for (const octet of random.bytes(PSK_LENGTH)) {
      const letter = octet < 4 * PSK_ALPHABET.length ? PSK_ALPHABET[octet % PSK_ALPHABET.length] : undefined;
      if (letter !== undefined && text.length < PSK_LENGTH) text += letter;
    }
  }
  return text;
}

type PskTable = Readonly<Record<string, readonly string[]>>;

/**
 * Generated PSKs, the last registration and the outside addresses of this box: read once at start, written through. A
 * document each, so that what others can tell again may be lost without losing keys.
 */
export class StateStore {
  readonly #documents: StateDocuments;
  #psks: PskTable;
  #registration: Registration | undefined;
  readonly #outside: Map<string, OutsideAddress>;

  private constructor(
    documents: StateDocuments,
    psks: PskTable,
    registration: Registration | undefined,
    outside: Map<string, OutsideAddress>,
  ) {
    this.#documents = documents;
    this.#psks = psks;
    this.#registration = registration;
    this.#outside = outside;
  }

  /** Rejects when a document is damaged: keys in use must never be replaced silently. */
  static async open(documents: StateDocuments): Promise<StateStore> {
    const psks = (await documents.read(PSK_DOCUMENT)) ?? {};
    if (!isPskTable(psks)) {
      throw new Error(
        `state document ${PSK_DOCUMENT} is damaged (expected lists of keys by link): restore it from a backup, ` +
          'or delete it to take the keys over from the tenant again',
      );
    }
    const registration = parseRegistration(await documents.read(REGISTRATION_DOCUMENT));
    return new StateStore(documents, psks, registration, parseOutside(await documents.read(OUTSIDE_DOCUMENT)));
  }

  /** Undefined when there is none, or none that can be understood: Graph is asked again anyway. */
  get registration(): Registration | undefined {
    return this.#registration;
  }

  /** The PSKs of a link, zone 1 first; undefined when none are stored. */
  psks(link: string): readonly Secret[] | undefined {
    // a link may be called like something that every object has
    return Object.hasOwn(this.#psks, link) ? this.#psks[link]?.map((text) => Secret.fromText(text)) : undefined;
  }

  async savePsks(link: string, keys: readonly Secret[]): Promise<void> {
    const psks = { ...this.#psks, [link]: keys.map((key) => key.revealText()) };
    await this.#documents.write(PSK_DOCUMENT, psks);
    this.#psks = psks;
  }

  async saveRegistration(registration: Registration): Promise<void> {
    await this.#documents.write(REGISTRATION_DOCUMENT, documentOf(registration));
    this.#registration = registration;
  }

  /** Undefined when no peer has told yet. */
  outside(wan: string): OutsideAddress | undefined {
    return this.#outside.get(wan);
  }

  /** Known at once; rejects when it could not be written. */
  async saveOutside(wan: string, address: OutsideAddress): Promise<void> {
    this.#outside.set(wan, address);
    const wans = [...this.#outside].map(([name, { inside, outside }]) => ({
      name,
      inside: formatIp(inside),
      outside: formatIp(outside),
    }));
    await this.#documents.write(OUTSIDE_DOCUMENT, { version: 1, wans });
  }
}

function documentOf({ remoteNetworkId, links }: Registration): unknown {
  const plain = links.map((link) => ({
    ...link,
    zones: link.zones.map((zone) => ({
      ...zone,
      endpoint: formatIp(zone.endpoint),
      msftBgpAddress: formatIp(zone.msftBgpAddress),
    })),
  }));
  return { version: 1, remoteNetworkId, links: plain };
}

function parseRegistration(value: unknown): Registration | undefined {
  if (!isRecord(value) || value['version'] !== 1) return undefined;
  const { remoteNetworkId, links } = value;
  if (typeof remoteNetworkId !== 'string' || !Array.isArray(links)) return undefined;
  const parsed = links.map(parseLink);
  return parsed.every((link) => link !== undefined) ? { remoteNetworkId, links: parsed } : undefined;
}

function parseLink(value: unknown): RegisteredLink | undefined {
  if (!isRecord(value)) return undefined;
  const { name, linkId, zones } = value;
  if (typeof name !== 'string' || typeof linkId !== 'string' || !Array.isArray(zones)) return undefined;
  const parsed = zones.map(parseZone);
  return parsed.every((zone) => zone !== undefined) ? { name, linkId, zones: parsed } : undefined;
}

function parseZone(value: unknown): RegisteredLink['zones'][number] | undefined {
  if (!isRecord(value)) return undefined;
  const { zone, endpoint, msftAsn, msftBgpAddress, region } = value;
  if ((zone !== 1 && zone !== 2) || typeof msftAsn !== 'number' || typeof region !== 'string') return undefined;
  const endpointIp = parseIp(String(endpoint));
  const bgpIp = parseIp(String(msftBgpAddress));
  if (!endpointIp.ok || !bgpIp.ok) return undefined;
  return { zone, endpoint: endpointIp.value, msftAsn, msftBgpAddress: bgpIp.value, region };
}

/** What cannot be understood is left out: the next IKE SA tells it again. */
function parseOutside(value: unknown): Map<string, OutsideAddress> {
  const wans = isRecord(value) && value['version'] === 1 && Array.isArray(value['wans']) ? value['wans'] : [];
  const known = new Map<string, OutsideAddress>();
  for (const wan of wans) {
    if (!isRecord(wan) || typeof wan['name'] !== 'string') continue;
    const [inside, outside] = [parseIp(String(wan['inside'])), parseIp(String(wan['outside']))];
    if (inside.ok && outside.ok) known.set(wan['name'], { inside: inside.value, outside: outside.value });
  }
  return known;
}

const isPskTable = (value: unknown): value is PskTable =>
  isRecord(value) &&
  Object.values(value).every((keys) => Array.isArray(keys) && keys.every((key) => typeof key === 'string'));

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
