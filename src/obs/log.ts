import { type DestinationStream, destination, pino, stdTimeFunctions } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What a line carries beside its sentence: plain values only, so that no object can bring a secret along. */
export interface LogFields {
  /** Name of the event, kebab-case, from a closed list per part. */
  readonly evt: string;
  readonly link?: string | undefined;
  readonly zone?: number | undefined;
  readonly peer?: string | undefined;
  readonly tunnel?: string | undefined;
  /** A caught error; printed with its stack. */
  readonly err?: Error | undefined;
  readonly [field: string]: string | number | boolean | null | undefined | Error;
}

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** Writes out what is still buffered; for the last moment before the process ends. */
  flush(): void;
}

const STDOUT = 1;

/** A second line of defence: fields of these names are masked whatever they hold. */
const SECRET_NAMES = [
  'secret',
  'client_secret',
  'psk',
  'password',
  'passphrase',
  'key',
  'salt',
  'token',
  'authorization',
];

/** JSON, one line per event with `time` in RFC 3339, to a descriptor: standard output unless told otherwise. */
export function createLog(options: { readonly level: LogLevel; readonly fd?: number }): Log {
  const out = destination({ fd: options.fd ?? STDOUT, sync: false });
  // Whoever read our output is gone; there is nobody left to tell.
  out.on('error', () => undefined);
  return logTo(out, options.level, () => out.flushSync());
}

/** The same lines on any stream. */
export function logTo(stream: DestinationStream, level: LogLevel, flush: () => void): Log {
  const logger = pino(
    {
      level,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      timestamp: stdTimeFunctions.isoTime,
      redact: { paths: SECRET_NAMES.flatMap((name) => [name, `*.${name}`]), censor: '[secret]' },
    },
    stream,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush,
  };
}
