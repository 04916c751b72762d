import type { AnyTarget } from '../engine/target.ts';
import { bgpDecoder } from './bgp-decoder.ts';
import { bgpSession } from './bgp-session.ts';
import { ikeDecoder } from './ike-decoder.ts';
import { ikeInsider } from './ike-insider.ts';
import { ikeOutsider } from './ike-outsider.ts';

/** One row per target; its name begins with the area whose corpus it replays. */
export const TARGETS = [
  ikeDecoder,
  ikeOutsider,
  ikeInsider,
  bgpDecoder,
  bgpSession,
] as readonly unknown[] as readonly AnyTarget[];
