/** Steps are a quarter of a second. */
const LIMITS = {
  /** Without an answer, and without anything else out of the tunnel: it is silent. */
  silentAfter: 2,
  /** Without an answer, whatever else comes: our packets do not arrive. */
  unansweredAfter: 8,
  /** Requests at the first step without an answer, so that a single lost packet proves nothing. */
  burst: 3,
  /** With an answer each, before routes come back. Doubled each time that does not last. */
  answersToReturn: 8,
  mostAnswersToReturn: 240,
  /** Steps after which a far end that has never answered is asked rarely, and how rarely. */
  patience: 20,
  rarely: 120,
  /** A return that lasted so long forgets the doubling. */
  lasting: 240,
} as const;

export interface WatchStep {
  /** Echo requests to send now. */
  readonly requests: number;
  /** What has become of the way to the peer in this step, if something has. */
  readonly change: 'silent' | 'back' | undefined;
}

/**
 * Whether the far end of a tunnel still answers, far sooner than IKE or BGP can know: it is asked four times a second (ICMP echo to
 * the BGP speaker), and known to be silent after half a second without an answer. A far end that has never answered is not judged, and
 * soon asked twice a minute only.
 * Returns are damped: routes must not follow a path that comes and goes.
 */
export class PeerWatch {
  /** The far end has answered once. */
  #answers = false;
  #answered = false;
  /** Steps in a row without an answer; of these, without anything. */
  #unanswered = 0;
  #unheard = 0;
  /** Steps in a row with an answer since the last change. */
  #good = 0;
  #answersToReturn: number = LIMITS.answersToReturn;
  #silent = false;

  get silent(): boolean {
    return this.#silent;
  }

  /** An echo reply came. */
  onAnswer(): void {
    this.#answers = true;
    this.#answered = true;
  }

  /** A step is over; `heard`: packets came out of the tunnel meanwhile. */
  step(heard: boolean): WatchStep {
    const answered = this.#answered;
    this.#answered = false;
    this.#unanswered = answered ? 0 : this.#unanswered + 1;
    this.#unheard = answered || heard ? 0 : this.#unheard + 1;
    this.#good = answered ? this.#good + 1 : 0;
    return { requests: this.#requests(), change: this.#silent ? this.#return() : this.#fall() };
  }

  #requests(): number {
    if (this.#answers) return this.#unanswered === 1 ? LIMITS.burst : 1;
    return this.#unanswered < LIMITS.patience || this.#unanswered % LIMITS.rarely === 0 ? 1 : 0;
  }

  #fall(): WatchStep['change'] {
    if (this.#good >= LIMITS.lasting) this.#answersToReturn = LIMITS.answersToReturn;
    const silent = this.#unheard >= LIMITS.silentAfter || this.#unanswered >= LIMITS.unansweredAfter;
    if (!this.#answers || !silent) return undefined;
    this.#silent = true;
    this.#good = 0;
    return 'silent';
  }

  #return(): WatchStep['change'] {
    if (this.#good < this.#answersToReturn) return undefined;
    this.#silent = false;
    this.#good = 0;
    this.#answersToReturn = Math.min(LIMITS.mostAnswersToReturn, this.#answersToReturn * 2);
    return 'back';
  }
}
