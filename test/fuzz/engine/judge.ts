import type { AnyTarget } from './target.ts';

/** A promise about time counts as broken only when it is broken each time: other programs run on this machine, too. */
const TRIALS = 10;

/** What an input brought to light; `undefined` when every promise held. */
export function judge(target: AnyTarget, input: unknown): Error | undefined {
  const first = attempt(target, input);
  if (first === undefined || !first.message.includes(' ms')) return first;
  for (let trial = 1; trial < TRIALS; trial++) if (attempt(target, input) === undefined) return undefined;
  return first;
}

function attempt(target: AnyTarget, input: unknown): Error | undefined {
  try {
    target.run(input);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Two errors with the same signature are one finding. */
export function signatureOf(error: Error): string {
  const where = error.stack?.split('\n').find((line) => line.includes('/src/')) ?? '';
  return `${error.name}: ${error.message.replace(/[0-9a-f]{8,}|\d+/g, 'N')} ${where.trim()}`;
}

/** The smallest input found that shows the same. */
export function shrink(target: AnyTarget, input: unknown, signature: string): unknown {
  let smallest = input;
  for (let tries = 0; tries < 2_000; ) {
    let found: { readonly input: unknown } | undefined;
    for (const candidate of target.smaller(smallest)) {
      if (++tries > 2_000) break;
      const error = judge(target, candidate);
      if (error !== undefined && signatureOf(error) === signature) {
        found = { input: candidate };
        break;
      }
    }
    if (found === undefined) break;
    smallest = found.input;
  }
  return smallest;
}
