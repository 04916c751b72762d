import { describe, expect, test } from 'vitest';
import { committedCorpus } from '../fuzz/engine/corpus.ts';
import { judge } from '../fuzz/engine/judge.ts';
import { TARGETS } from '../fuzz/targets/index.ts';

describe.each(TARGETS.map((target) => ({ name: target.name, target })))('the corpus of $name', ({ target }) => {
  const lines = committedCorpus(target).read();

  test('is small, and each input is in it once', () => {
    expect(lines.length).toBeGreaterThan(20);
    expect(lines.length).toBeLessThanOrEqual(150);
    expect(new Set(lines).size).toBe(lines.length);
  });

  test('breaks no promise', () => {
    for (const line of lines) expect(judge(target, target.parse(line)), line.slice(0, 200)).toBeUndefined();
  });

  test('survives being read and written', () => {
    for (const line of lines) {
      const input = target.parse(line);
      expect(target.parse(target.format(input))).toEqual(input);
    }
  });
});
