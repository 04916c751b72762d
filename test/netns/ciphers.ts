import { loadAddon } from '../../src/io/addon.ts';
import type { Tuning } from '../../src/io/data-plane.ts';
import type { Cipher } from '../../src/io/native.ts';

/** Those that the packet path may use on this machine. */
export const ADMITTED_CIPHERS: readonly Cipher[] =
  loadAddon().vaesStatus() === 'admitted' ? ['openssl', 'vaes'] : ['openssl'];

/** One thread, and all that the kernel can do. */
export const tuningWith = (cipher: Cipher): Tuning => ({ threads: 1, processors: [], busyPollUs: 0, cipher });
