import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/io/clock.ts';
import { type Instant, instant } from '../../../src/lib/time.ts';

describe('systemClock', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('wakes once, at the instant and not before', () => {
    const woken = vi.fn();
    systemClock.wakeAt(fromNow(1000), woken);
    vi.advanceTimersByTime(999);
    expect(woken).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5000);
    expect(woken).toHaveBeenCalledOnce();
  });

  it('never wakes synchronously, even for an instant in the past', () => {
    const woken = vi.fn();
    systemClock.wakeAt(fromNow(-5), woken);
    expect(woken).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(woken).toHaveBeenCalledOnce();
  });

  it('does not wake when cancelled', () => {
    const woken = vi.fn();
    systemClock.wakeAt(fromNow(10), woken)();
    vi.advanceTimersByTime(1000);
    expect(woken).not.toHaveBeenCalled();
  });

  it('waits 90 days, which one timer cannot, and can be cancelled halfway', () => {
    const days = 24 * 3600 * 1000;
    const woken = vi.fn();
    systemClock.wakeAt(fromNow(90 * days), woken);
    const cancelled = vi.fn();
    const cancel = systemClock.wakeAt(fromNow(90 * days), cancelled);
    vi.advanceTimersByTime(60 * days);
    cancel();
    vi.advanceTimersByTime(30 * days - 1);
    expect(woken).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2);
    expect(woken).toHaveBeenCalledOnce();
    expect(cancelled).not.toHaveBeenCalled();
  });
});

const fromNow = (ms: number): Instant => instant(systemClock.now() + ms);
