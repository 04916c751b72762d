import { expect, test } from 'vitest';
import { ResponseCache } from '../../../src/ike/response-cache.ts';
import { fromHex } from '../../../src/lib/bytes.ts';

const [REQUEST, OTHER, RESPONSE] = [fromHex('01'), fromHex('02'), fromHex('aa')];

test('the next id is new, the last request repeated octet by octet gets its answer, all else is stale', () => {
  const cache = new ResponseCache();
  expect(cache.classify(0, REQUEST)).toEqual({ kind: 'new' });
  cache.answered(REQUEST, RESPONSE);
  expect(cache.classify(0, REQUEST)).toEqual({ kind: 'repeated', response: RESPONSE });
  expect(cache.classify(0, OTHER)).toEqual({ kind: 'stale' });
  expect(cache.classify(1, REQUEST)).toEqual({ kind: 'new' });
  expect(cache.classify(2, OTHER)).toEqual({ kind: 'stale' });
  cache.answered(OTHER, RESPONSE);
  expect(cache.classify(0, REQUEST)).toEqual({ kind: 'stale' });
});

test('keeps its own copy of the request, whose buffer the caller reuses', () => {
  const cache = new ResponseCache();
  const buffer = REQUEST.slice();
  cache.answered(buffer, RESPONSE);
  buffer.fill(0xff);
  expect(cache.classify(0, REQUEST).kind).toBe('repeated');
});
