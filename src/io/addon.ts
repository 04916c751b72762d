import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NativeAddon } from './native.ts';

// CommonJS without types: takes a directory and gives what the addon built or shipped there exports.
const nodeGypBuild: (directory: string) => unknown = createRequire(import.meta.url)('node-gyp-build');

/** `native/` beside `src/` and, in a package, beside `dist/`. */
const NATIVE_DIRECTORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'native');

let loaded: NativeAddon | undefined;

/** The native addon; loaded once per process. Throws an `Error` that says how to get it. */
export function loadAddon(): NativeAddon {
  loaded ??= load();
  return loaded;
}

function load(): NativeAddon {
  try {
    return nodeGypBuild(NATIVE_DIRECTORY) as NativeAddon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new Error(
      `The native addon cannot be loaded (${reason}): build it with \`npm run build:native\` for Node ${process.versions.node}.`,
      { cause },
    );
  }
}
