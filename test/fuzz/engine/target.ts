import type { Dice } from './dice.ts';

/**
 * Something to throw inputs at. An input is a value of the target's own making; text is how it is kept in a corpus. A
 * violated promise is a throw from `run`, whose first line names it.
 */
export interface FuzzTarget<Input> {
  readonly name: string;
  /** What is attacked, and by whom. */
  readonly about: string;
  /** Its part of a run of all targets, in parts of all parts. */
  readonly share: number;
  /** Inputs to begin with. */
  seeds(): Input[];
  /** A changed copy. `donor`: another input, to take parts from. */
  mutate(input: Input, donor: Input, dice: Dice): Input;
  /** Gives the number of messages that it took. Same input, same course. */
  run(input: Input): number;
  /** One line. */
  format(input: Input): string;
  parse(line: string): Input;
  /** Smaller inputs that may show the same, boldest first. */
  smaller(input: Input): Iterable<Input>;
}

/** A target whose inputs only itself looks into. */
export type AnyTarget = FuzzTarget<unknown>;

/** A promise that an input broke. */
export class Violation extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'Violation';
  }
}
