#!/usr/bin/env node

// Before the program is even loaded: by default HUP ends a process, and whoever asks for a reload now gets one anyway.
process.on('SIGHUP', () => undefined);
const { main } = await import('./daemon.ts');

// not by exitCode: an HTTP exchange or a timer under way must not keep a stopped daemon alive
process.exit(await main(process.argv.slice(2)));
