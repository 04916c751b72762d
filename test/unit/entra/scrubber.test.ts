import { expect, it } from 'vitest';
import { Scrubber } from '../../../src/entra/scrubber.ts';
import { Secret } from '../../../src/lib/secret.ts';

it.each([
  ['as it is', 'a"b&c d'],
  ['URL-encoded', encodeURIComponent('a"b&c d')],
  ['in JSON', JSON.stringify('a"b&c d')],
])('removes a learnt secret %s', (_how, spelling) => {
  const scrubber = new Scrubber();
  scrubber.learn(Secret.fromText('a"b&c d'));
  expect(scrubber.scrub(`the value ${spelling} is bad`)).toMatch(/^the value "?\[secret\]"? is bad$/);
});

it('removes the longer of two secrets that share a beginning', () => {
  const scrubber = new Scrubber();
  for (const text of ['key', 'keystone']) scrubber.learn(Secret.fromText(text));
  expect(scrubber.scrub('keystone key')).toBe('[secret] [secret]');
});

it('removes bearers and JWTs it has never seen, and leaves other words alone', () => {
  const scrubber = new Scrubber();
  scrubber.learn(Secret.fromText(''));
  expect(scrubber.scrub('Bearer abc.def-1 and eyJhbGciOiJub25lIn0.e30. but not bearer of news')).toBe(
    '[secret] and [secret] but not bearer of news',
  );
});

it('does not cut a secret in half', () => {
  const scrubber = new Scrubber();
  scrubber.learn(Secret.fromText('0123456789'.repeat(5)));
  expect(scrubber.quote(`${'x'.repeat(180)}${'0123456789'.repeat(5)}`)).not.toMatch(/\d/);
});
