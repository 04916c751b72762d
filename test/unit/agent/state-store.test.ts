import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { generatePsk, type Registration, StateStore } from '../../../src/agent/state-store.ts';
import { ip } from '../../../src/lib/ip.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { SeededRandom } from '../../sim/clock.ts';
import { MemoryDocuments } from './memory-documents.ts';

const REGISTRATION: Registration = {
  remoteNetworkId: 'rn-1',
  links: [
    {
      name: 'fiber',
      linkId: 'dl-1',
      zones: [
        { zone: 1, endpoint: ip('198.51.100.20'), msftAsn: 65476, msftBgpAddress: ip('169.254.21.2'), region: 'fr' },
        { zone: 2, endpoint: ip('198.51.100.84'), msftAsn: 65476, msftBgpAddress: ip('169.254.22.2'), region: 'fr' },
      ],
    },
  ],
};

describe('StateStore', () => {
  it('is empty at first', async () => {
    const store = await StateStore.open(new MemoryDocuments());
    expect([store.registration, store.psks('fiber')]).toEqual([undefined, undefined]);
  });

  it('gives back after a restart what was saved', async () => {
    const documents = new MemoryDocuments();
    const first = await StateStore.open(documents);
    await first.savePsks('fiber', [Secret.fromText('one'), Secret.fromText('two')]);
    await first.savePsks('dsl', [Secret.fromText('three')]);
    await first.saveRegistration(REGISTRATION);
    const second = await StateStore.open(documents);
    expect(second.registration).toEqual(REGISTRATION);
    expect(second.psks('fiber')?.map((psk) => psk.revealText())).toEqual(['one', 'two']);
    expect(second.psks('dsl')?.map((psk) => psk.revealText())).toEqual(['three']);
  });

  it('gives back after a restart how peers saw a WAN, and leaves out what it cannot understand', async () => {
    const documents = new MemoryDocuments();
    const first = await StateStore.open(documents);
    await first.saveOutside('fiber', { inside: ip('192.168.1.2'), outside: ip('203.0.113.7') });
    await first.saveOutside('dsl', { inside: ip('192.0.2.10'), outside: ip('192.0.2.10') });
    const second = await StateStore.open(documents);
    expect(second.outside('fiber')).toEqual({ inside: ip('192.168.1.2'), outside: ip('203.0.113.7') });
    expect(second.outside('dsl')?.outside).toEqual(ip('192.0.2.10'));

    const wans = [
      7,
      { name: 'fiber', inside: 'x', outside: '203.0.113.7' },
      { inside: '10.0.0.1', outside: '10.0.0.1' },
    ];
    for (const document of [{ version: 1, wans }, { version: 2, wans: [] }, 'text']) {
      const damaged = await StateStore.open(new MemoryDocuments({ 'outside.json': document }));
      expect(damaged.outside('fiber')).toBeUndefined();
    }
  });

  it('forgets nothing and pretends nothing when the disk refuses', async () => {
    const documents = new MemoryDocuments();
    const store = await StateStore.open(documents);
    await store.savePsks('fiber', [Secret.fromText('one')]);
    documents.full = true;
    await expect(store.savePsks('fiber', [Secret.fromText('two')])).rejects.toThrow('no space');
    expect(store.psks('fiber')?.map((psk) => psk.revealText())).toEqual(['one']);
  });

  it.each(['constructor', 'toString', '__proto__'])(
    'knows no keys of a link called %s before they are saved',
    async (link) => {
      const store = await StateStore.open(new MemoryDocuments());
      expect(store.psks(link)).toBeUndefined();
    },
  );

  it.each([[], 'text', { fiber: 'key' }, { fiber: [1] }])('refuses a damaged key document: %j', async (document) => {
    const documents = new MemoryDocuments({ 'psk.json': document });
    await expect(StateStore.open(documents)).rejects.toThrow(/psk\.json is damaged .*restore it from a backup/);
  });

  it.each([
    ['no object', 7],
    ['another version', { version: 2, remoteNetworkId: 'rn-1', links: [] }],
    ['links of another shape', { version: 1, remoteNetworkId: 'rn-1', links: [{ name: 'fiber' }] }],
    ['an address that is none', withZone({ endpoint: 'gateway' })],
    ['a third zone', withZone({ zone: 3 })],
  ])('takes a damaged registration for none, because Graph can tell it again: %s', async (_, document) => {
    const store = await StateStore.open(new MemoryDocuments({ 'registration.json': document }));
    expect(store.registration).toBeUndefined();
  });
});

describe('generatePsk', () => {
  property.prop([fc.integer()])('gives 48 letters and digits, others each time', (seed) => {
    const random = new SeededRandom(seed);
    const [a, b] = [generatePsk(random).revealText(), generatePsk(random).revealText()];
    expect(a).toMatch(/^[A-Za-z0-9]{48}$/);
    expect(a).not.toBe(b);
  });

  it.each(['0x', '0X', '0s', '0S'])(
    'draws again when a key begins with %s, which strongSwan takes for a mark',
    (mark) => {
      const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
      const drawn = [`${mark}${'A'.repeat(46)}`, `x0s${'B'.repeat(45)}`].map((text) =>
        Uint8Array.from(text, (letter) => letters.indexOf(letter)),
      );
      const random = { bytes: () => drawn.shift() ?? new Uint8Array(48) };
      expect(generatePsk(random).revealText()).toBe(`x0s${'B'.repeat(45)}`);
    },
  );

  it('lets no octet favour a letter: the 256 octets give each of the 62 letters four times', () => {
    let next = 0;
    const everyOctet = { bytes: (length: number) => Uint8Array.from({ length }, () => next++ & 255) };
    const counts = new Map<string, number>();
    // 248 usable octets in 256: lcm with 48 letters a key makes 31 keys six whole rounds
    for (let key = 0; key < 31; key++) {
      for (const letter of generatePsk(everyOctet).revealText()) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    expect(counts.size).toBe(62);
    const spread = [...counts.values()];
    expect(Math.max(...spread) - Math.min(...spread)).toBeLessThanOrEqual(4);
  });
});

function withZone(change: object): unknown {
  const zone = { zone: 1, endpoint: '198.51.100.20', msftAsn: 65476, msftBgpAddress: '169.254.21.2', region: 'fr' };
  const links = [{ name: 'fiber', linkId: 'dl-1', zones: [{ ...zone, ...change }] }];
  return { version: 1, remoteNetworkId: 'rn-1', links };
}
