import { expect, test } from 'vitest';
import { Reassembly } from '../../../src/ike/reassembly.ts';
import { fromHex, toHex } from '../../../src/lib/bytes.ts';

test('fragments in any order give the message once, with the type that the first of them tells', () => {
  for (const order of [
    [1, 2, 3],
    [3, 1, 2],
    [2, 3, 1],
  ]) {
    const reassembly = new Reassembly();
    expect(order.map((number) => add(reassembly, 7, number, 3))).toEqual([undefined, undefined, '28 010203']);
  }
});

test('one fragment of one is a message', () => {
  expect(add(new Reassembly(), 7, 1, 1)).toBe('28 01');
});

test('a fragment that is held already is refused before it costs anything', () => {
  const reassembly = new Reassembly();
  add(reassembly, 7, 2, 3);
  expect(reassembly.refuse(7, { number: 2, total: 3 })).toBe('stale-fragment');
  expect(reassembly.refuse(7, { number: 3, total: 3 })).toBeUndefined();
});

test('a larger total starts over, and what is left of the smaller one is late', () => {
  const reassembly = new Reassembly();
  add(reassembly, 7, 1, 2);
  expect(reassembly.refuse(7, { number: 1, total: 3 })).toBeUndefined();
  expect(add(reassembly, 7, 1, 3)).toBeUndefined();
  expect(reassembly.refuse(7, { number: 2, total: 2 })).toBe('stale-fragment');
  expect([2, 3].map((number) => add(reassembly, 7, number, 3))).toEqual([undefined, '28 010203']);
});

test('another message starts over', () => {
  const reassembly = new Reassembly();
  add(reassembly, 7, 1, 2);
  add(reassembly, 8, 2, 2);
  expect(add(reassembly, 8, 1, 2)).toBe('28 0102');
});

test('a message that is cleared leaves nothing behind', () => {
  const reassembly = new Reassembly();
  add(reassembly, 7, 1, 2);
  reassembly.clear();
  expect(add(reassembly, 7, 2, 2)).toBeUndefined();
});

test('the largest datagram is remembered', () => {
  const reassembly = new Reassembly();
  for (const [number, length] of [
    [1, 90],
    [2, 100],
  ] as const)
    reassembly.add(7, { number, total: 3 }, part(number), length);
  const last = reassembly.add(7, { number: 3, total: 3 }, part(3), 50);
  expect(last.ok && last.value?.largestDatagram).toBe(100);
});

test('memory is bounded: neither many fragments nor large ones are collected', () => {
  const reassembly = new Reassembly();
  expect(reassembly.refuse(7, { number: 1, total: 65 })).toBe('too-many-fragments');
  const large = { firstPayload: 0, bytes: new Uint8Array(8_000) };
  const added = [1, 2, 3].map((number) => reassembly.add(7, { number, total: 64 }, large, 8_100));
  expect(added.map(({ ok }) => ok)).toEqual([true, true, false]);
  // What was too large is forgotten, not kept to be added to.
  expect(reassembly.refuse(7, { number: 1, total: 64 })).toBeUndefined();
});

/** Adds a fragment whose only octet is its number; gives first payload type and octets of a complete message. */
function add(reassembly: Reassembly, messageId: number, number: number, total: number): string | undefined {
  const added = reassembly.add(messageId, { number, total }, part(number), 100);
  if (!added.ok) throw new Error(added.error);
  const inner = added.value?.inner;
  return inner && `${inner.firstPayload.toString(16)} ${toHex(inner.bytes)}`;
}

const part = (number: number) => ({ firstPayload: number === 1 ? 0x28 : 0, bytes: fromHex(`0${number}`) });
