#!/usr/bin/env node

import { setFlagsFromString } from 'node:v8';

// Garbage collections that move long-lived objects stop everything for up to 16 ms, to save memory that the daemon does not miss;
// without that the longest take 6 ms (`npm run bench -- handshake`).
setFlagsFromString('--no-compact');
// Left to itself the heap takes 32 MB for new objects and waits for three times what is alive before it is swept: with a table of
// 100,000 prefixes that is 40 MB more than the daemon needs (`npm run bench -- bgp`).
setFlagsFromString('--semi-space-growth-factor=1');
setFlagsFromString('--heap-growing-percent=60');
// Before the program is even loaded: by default HUP ends a process, and whoever asks for a reload now gets one anyway.
process.on('SIGHUP', () => undefined);
const { main } = await import('./daemon.ts');

// not by exitCode: an HTTP exchange or a timer under way must not keep a stopped daemon alive
process.exit(await main(process.argv.slice(2)));
