import { rename, rm, writeFile } from 'node:fs/promises';
import { CliError, Exit } from './exit.ts';

/** The file is there when all of it is. */
export async function writeWhole(file: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const unfinished = `${file}.part`;
  try {
    await writeFile(unfinished, pieces, { flag: 'w' });
    await rename(unfinished, file);
  } catch (cause) {
    await rm(unfinished, { force: true });
    if (cause instanceof CliError) throw cause;
    throw new CliError(Exit.failed, `cannot write ${file}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}
