import { z } from 'zod';

/** The lab's side of a role's process: options are one JSON argument, messages are JSON lines on standard output. */

/** Ends the process with 2 and the reason when the argument is not what `schema` says. */
export function readOptions<T>(schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(parseJson(process.argv[2] ?? ''));
  if (parsed.success) return parsed.data;
  process.stderr.write(`expected the options as one JSON argument:\n${z.prettifyError(parsed.error)}\n`);
  return process.exit(2);
}

export function printMessage(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Text that is not JSON stays text, which no schema of ours accepts. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
