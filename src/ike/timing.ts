import type { Random } from '../crypto/types.ts';

/**
 * How long to wait after the 1st, 2nd, … transmission of a request. After the last wait the peer counts as dead:
 * 7.5 s on average and 9 s at most, so that a dead peer is known in under 10 s.
 */
export const RETRANSMIT_AFTER_MS: readonly number[] = [500, 1000, 2000, 4000];
/** From this transmission on, 1.5 s after the first, a request goes out in smaller fragments: its path may swallow large packets. */
export const SHRINK_AT_TRANSMISSION = 3;
/** The first IKE_SA_INIT requests: where port 500 is blocked, 4500 is tried after 3.5 s. */
export const FIRST_AFTER_MS: readonly number[] = [500, 1000, 2000];
/** IKE_SA_INIT to a peer that has been silent for a while. Longer, and its return would go unnoticed for over 10 s. */
export const WATCH_AFTER_MS: readonly number[] = [7_000];
/** IKE_SA_INIT to the port that is probably the wrong one, in the first half minute and later. */
export const GLANCE_AFTER_MS = { eager: [500, 500], later: [1_000] } as const;
/** Before another attempt at a peer that answered IKE_SA_INIT and then fell silent. */
export const STALLED_RETRY_MS = 1_000;
/** Sending into silence for so long asks the peer at once whether it is there. */
export const UNANSWERED_MS = 500;
/** How long an unauthenticated refusal of IKE_SA_INIT may be contradicted by a better answer. */
export const REFUSAL_GRACE_MS = 2_000;
/** A responder forgets a peer that does not authenticate in this time. */
export const HALF_OPEN_MS = 10_000;
/** While sending goes on without any ESP in return, a peer that has just answered is asked again after this. */
export const UNANSWERED_AGAIN_MS = 1_000;
/** RFC 3948 §4. */
export const KEEPALIVE_MS = 20_000;
/** Where the NAT forgets sooner than that. */
export const SHORTEST_KEEPALIVE_MS = 5_000;
/** How long a stopping connection waits for the answer to its DELETE. */
export const DELETE_WAIT_MS = 1_500;

/** How long a deleted CHILD_SA still receives what is on its way. */
export const DRAIN_MS = 5_000;
/** When an SA that the peer made is used without a sign that the peer has it, because there is no other. */
export const CONFIRM_MS = 5_000;
/** How long an IKE SA that ended still answers retransmissions of the request that ended it. */
export const DEPARTED_MS = 30_000;
/** How long the end that a rekey left behind waits for the other end's DELETE. */
export const RETIRED_MS = 30_000;
/** How long a peer may leave unused what its rekey made before we ask in there whether it has it. */
export const HEIR_UNUSED_MS = 10_000;
/** How soon after bring-up the first CHILD_SA is rekeyed to prove that PFS works: well within a minute, not amid the rush. */
export const PFS_PROOF_MS = 15_000;
/** How long an SA outlives its lifetime, once, when a rekey that may replace it is under way: longer than any answer takes. */
export const OVERTIME_MS = 30_000;
/** How soon after it began a CHILD_SA may be replaced for what it carried: rekeys must not become the load. */
export const VOLUME_REKEY_EVERY_MS = 10_000;
/** How long the second half of a peer's rekey is awaited, RFC 9370 §2.2.4: longer than its retransmissions take. */
export const FOLLOWUP_MS = 20_000;
/** After TEMPORARY_FAILURE; the jitter keeps the two ends from meeting again. */
export const BUSY_RETRY_MS = 2_000;
/** A CHILD_SA that did not live this long is not replaced at once. */
export const RECREATE_AFTER_MS = 10_000;

const REKEY_RETRY_FIRST_MS = 10_000;
const REKEY_RETRY_MAX_MS = 300_000;

/** When to begin the rekey of an SA that ends after `lifetimeMs`: at 80 to 90 % of it. */
export function softMs(random: Random, lifetimeMs: number): number {
  return lifetimeMs * softShare(random);
}

/** How much of a lifetime is over when its rekey begins: 0.8 to 0.9, so that the two ends do not begin at once. */
export function softShare(random: Random): number {
  return 0.8 + 0.1 * fraction(random);
}

/** Wait before a refused rekey is tried again, after `failures` (0, 1, …) earlier ones: 10, 20 … 300 s, with jitter. */
export function rekeyRetryMs(random: Random, failures: number): number {
  return jitter(random, Math.min(REKEY_RETRY_MAX_MS, REKEY_RETRY_FIRST_MS * 2 ** failures));
}

const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
/** Nobody proves who refused IKE_SA_INIT: a forger, or a peer that is only starting, must not keep us away for long. */
export const UNPROVEN_BACKOFF_MAX_MS = 8_000;
/** A lost SA is replaced at once, but not more often than this: a peer that deletes what it accepts must not make us spin. */
export const IMMEDIATE_RETRIES = { most: 3, withinMs: 60_000 } as const;

/** `ms` give or take a fifth, so that the two ends, or many branches, do not act in step. */
export function jitter(random: Random, ms: number): number {
  return ms * (0.8 + 0.4 * fraction(random));
}

/** Wait before the next attempt after `failures` (0, 1, …) earlier ones: 1, 2, 4 … `maxMs`, with jitter. */
export function backoffMs(random: Random, failures: number, maxMs = BACKOFF_MAX_MS): number {
  return jitter(random, Math.min(maxMs, BACKOFF_FIRST_MS * 2 ** failures));
}

/** 0 to 1. */
function fraction(random: Random): number {
  const [high = 0, low = 0] = random.bytes(2);
  return (high * 256 + low) / 0xffff;
}
