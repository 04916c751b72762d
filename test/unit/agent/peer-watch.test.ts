import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { PeerWatch } from '../../../src/agent/peer-watch.ts';

describe('PeerWatch', () => {
  it('calls a far end silent after two steps without an answer, and asks three times before', () => {
    const watch = answering();
    expect(watch.step(false)).toEqual({ requests: 3, change: undefined });
    expect(watch.step(false)).toEqual({ requests: 1, change: 'silent' });
    expect(watch.silent).toBe(true);
  });

  it('does not judge a far end that has never answered, and asks it rarely', () => {
    const watch = new PeerWatch();
    let requests = 0;
    for (let i = 0; i < 1_200; i++) {
      const step = watch.step(false);
      expect(step.change).toBeUndefined();
      requests += step.requests;
    }
    expect(requests).toBe(19 + 10);
  });

  it('waits for longer while something comes out of the tunnel: answers may be rare under load', () => {
    const watch = answering();
    for (let i = 1; i < 8; i++) expect(watch.step(true).change).toBeUndefined();
    expect(watch.step(true).change).toBe('silent');
  });

  it('forgives a single lost answer', () => {
    const watch = answering();
    for (let i = 0; i < 100; i++) {
      expect(watch.step(false).change).toBeUndefined();
      watch.onAnswer();
      expect(watch.step(true).change).toBeUndefined();
    }
  });

  it('comes back after eight answers in a row, and after ever more when that does not last', () => {
    const watch = answering();
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      while (!watch.silent) watch.step(false);
      waits.push(stepsUntilBack(watch));
    }
    expect(waits).toEqual([8, 16, 32, 64, 128, 240, 240, 240]);
    for (let i = 0; i < 240; i++) {
      watch.onAnswer();
      watch.step(true);
    }
    while (!watch.silent) watch.step(false);
    expect(stepsUntilBack(watch)).toBe(8);
  });

  test.prop([fc.array(fc.record({ answer: fc.boolean(), heard: fc.boolean() }), { maxLength: 300 })])(
    'changes alternate, and never while answers come',
    (steps) => {
      const watch = new PeerWatch();
      const changes: string[] = [];
      for (const { answer, heard } of steps) {
        if (answer) watch.onAnswer();
        const { change } = watch.step(heard || answer);
        if (change === undefined) continue;
        expect(change).toBe(answer ? 'back' : 'silent');
        changes.push(change);
      }
      expect(changes.every((change, i) => change === (i % 2 === 0 ? 'silent' : 'back'))).toBe(true);
    },
  );
});

// helpers

function answering(): PeerWatch {
  const watch = new PeerWatch();
  watch.onAnswer();
  watch.step(true);
  return watch;
}

function stepsUntilBack(watch: PeerWatch): number {
  for (let steps = 1; ; steps++) {
    watch.onAnswer();
    if (watch.step(true).change === 'back') return steps;
  }
}
