import { describe, expect, it } from 'vitest';
import { after, earliest, elapsedMs, instant, TimerTable } from '../../../src/lib/time.ts';

describe('instants', () => {
  it('add and subtract milliseconds', () => {
    expect(after(instant(100), 50)).toBe(150);
    expect(elapsedMs(instant(100), instant(150))).toBe(50);
  });
  it('the earliest of several skips those that are not set', () => {
    expect(earliest(undefined, instant(7), instant(3), undefined)).toBe(3);
    expect(earliest(instant(0), instant(1))).toBe(0);
    expect(earliest(undefined)).toBeUndefined();
    expect(earliest()).toBeUndefined();
  });
});

describe('TimerTable', () => {
  it('names the earliest instant, none when empty', () => {
    const timers = new TimerTable<'hold' | 'keepalive'>();
    expect(timers.next()).toBeUndefined();
    timers.set('hold', instant(90));
    timers.set('keepalive', instant(30));
    expect(timers.next()).toBe(30);
    expect(timers.get('hold')).toBe(90);
  });
  it('setting a name again moves it, stopping forgets it', () => {
    const timers = new TimerTable<'hold' | 'keepalive'>();
    timers.set('hold', instant(10));
    timers.set('hold', instant(90));
    timers.set('keepalive', instant(30));
    timers.stop('keepalive');
    expect(timers.next()).toBe(90);
    timers.stopAll();
    expect(timers.next()).toBeUndefined();
    expect(timers.expired(instant(1000))).toEqual([]);
  });
  it('gives what is due once, earliest first, the exact instant included', () => {
    const timers = new TimerTable<'a' | 'b' | 'c'>();
    timers.set('a', instant(20));
    timers.set('b', instant(10));
    timers.set('c', instant(21));
    expect(timers.expired(instant(9))).toEqual([]);
    expect(timers.expired(instant(20))).toEqual(['b', 'a']);
    expect(timers.expired(instant(20))).toEqual([]);
    expect(timers.next()).toBe(21);
  });
  it('a timer at instant 0 counts', () => {
    const timers = new TimerTable<'a'>();
    timers.set('a', instant(0));
    expect(timers.next()).toBe(0);
    expect(timers.expired(instant(0))).toEqual(['a']);
  });
});
