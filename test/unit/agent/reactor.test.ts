import { describe, expect, it } from 'vitest';
import { type Core, Reactor } from '../../../src/agent/reactor.ts';
import { type Instant, instant } from '../../../src/lib/time.ts';
import { ManualClock } from './manual-clock.ts';

describe('Reactor', () => {
  it('performs the outputs of an input before it takes the next, however deep the feeding', () => {
    const { reactor, seen } = setUp((output, feed) => {
      if (output === 'a1') feed('b');
    });
    reactor.feed('a');
    expect(seen).toEqual(['in a', 'a1', 'a2', 'in b', 'b1', 'b2']);
  });

  it('wakes the core at its next timeout, once, and follows it when it moves', async () => {
    const { clock, core, reactor, seen } = setUp();
    core.timeoutAt = instant(50);
    reactor.feed('a');
    core.timeoutAt = instant(100);
    reactor.feed('b');
    await clock.advance(99);
    expect(seen).not.toContain('in timeout');
    await clock.advance(1);
    expect(seen.filter((line) => line === 'in timeout')).toHaveLength(1);
    expect(clock.nextMs()).toBeUndefined();
  });

  it('does nothing after close: no input, no output, no wake-up', async () => {
    const { clock, core, reactor, seen } = setUp();
    core.timeoutAt = instant(50);
    reactor.feed('a');
    reactor.close();
    reactor.feed('b');
    await clock.advance(1_000);
    expect(seen).toEqual(['in a', 'a1', 'a2']);
  });

  it('performs nothing more once an output closed it', () => {
    const { reactor, seen } = setUp((output) => {
      if (output === 'a1') reactor.close();
    });
    reactor.feed('a');
    expect(seen).toEqual(['in a', 'a1']);
  });

  it('closes, drops what was queued and tells its owner when performing throws', async () => {
    const failures: unknown[] = [];
    const { clock, core, reactor, seen } = setUp(
      (output, feed) => {
        if (output !== 'a1') return;
        feed('b');
        throw new Error('no such device');
      },
      (error) => failures.push(error),
    );
    core.timeoutAt = instant(50);
    reactor.feed('a');
    reactor.feed('c');
    await clock.advance(1_000);
    expect(failures).toEqual([new Error('no such device')]);
    expect(seen).toEqual(['in a', 'a1']);
  });

  it('tells its owner when the core throws at a timeout, where no caller could catch it', async () => {
    const failures: unknown[] = [];
    const { clock, core, reactor } = setUp(undefined, (error) => failures.push(error));
    core.timeoutAt = instant(50);
    reactor.feed('a');
    core.failure = new RangeError('a bug');
    await clock.advance(50);
    expect(failures).toEqual([new RangeError('a bug')]);
  });

  it('lets the caller have the error when nobody else wants it', () => {
    const { core, reactor } = setUp();
    core.failure = new RangeError('a bug');
    expect(() => reactor.feed('a')).toThrow('a bug');
  });
});

type Input = string | { readonly kind: 'timeout' };

class EchoCore implements Core<string, string> {
  timeoutAt: Instant | undefined;
  failure: Error | undefined;
  readonly #seen: string[];
  readonly #out: string[] = [];

  constructor(seen: string[]) {
    this.#seen = seen;
  }
  handle(input: Input): void {
    if (this.failure !== undefined) throw this.failure;
    const name = typeof input === 'string' ? input : input.kind;
    this.#seen.push(`in ${name}`);
    if (name === 'timeout') this.timeoutAt = undefined;
    else this.#out.push(`${name}1`, `${name}2`);
  }
  poll(): string | undefined {
    return this.#out.shift();
  }
  nextTimeout(): Instant | undefined {
    return this.timeoutAt;
  }
}

function setUp(
  onOutput: (output: string, feed: (input: string) => void) => void = () => undefined,
  onFailure?: (error: unknown) => void,
) {
  const clock = new ManualClock();
  const seen: string[] = [];
  const core = new EchoCore(seen);
  const perform = (output: string): void => {
    seen.push(output);
    onOutput(output, (input) => reactor.feed(input));
  };
  const reactor = new Reactor<string, string>(core, clock, perform, onFailure);
  return { clock, core, reactor, seen };
}
