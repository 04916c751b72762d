import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { AdminClient } from './client.ts';
import { Exit } from './exit.ts';
import type { CliIo } from './io.ts';
import { type Screen, screenOf } from './render.ts';

export const DEFAULT_SOCKET = '/run/tunwright/tunwright.sock';
const POLL_MS = 1_000;
/** ECMA-48: erase the display and go to its first line. */
const CLEAR = '\u001b[2J\u001b[H';

export type Format = 'table' | 'json' | 'yaml';
export interface ViewOptions {
  readonly output: Format;
  readonly watch: boolean;
  readonly socket: string | undefined;
  readonly [option: string]: unknown;
}

/** What a command has at hand when it looks things up. */
export interface Source {
  readonly io: CliIo;
  readonly client: AdminClient;
  readonly args: readonly string[];
  readonly options: ViewOptions;
}

/** A command that shows something: once, or again and again with `-w`. */
export interface View<T> {
  /** With its arguments, such as `neighbor <ip>`. */
  readonly name: string;
  readonly summary: string;
  readonly options?: readonly Option[];
  load(source: Source): Promise<T>;
  table(data: T, screen: Screen): string;
  /** 0 unless told otherwise. */
  exitCode?(data: T): number;
  /** Replaces polling under `-w`. */
  follow?(source: Source, show: (data: T) => void): Promise<void>;
}

/** Where commands hang themselves; `finish` keeps the exit code of the one that ran. */
export interface CommandHost {
  readonly io: CliIo;
  finish(exitCode: number): void;
}

/** Adds a view to `parent` with the options every command has. */
export function addView<T>(parent: Command, host: CommandHost, view: View<T>): void {
  const command = parent.command(view.name).description(view.summary);
  const format = new Option('-o, --output <format>', 'how to print')
    .choices(['table', 'json', 'yaml'])
    .default('table');
  command.addOption(format).option('-w, --watch', 'show again when something changes', false);
  command.addOption(socketOption());
  for (const option of view.options ?? []) command.addOption(option);
  command.action(async () => {
    const options: ViewOptions = command.optsWithGlobals();
    host.finish(await show(view, { io: host.io, client: clientOf(command, host), args: command.args, options }));
  });
}

/** The daemon that the options or the environment name. */
export function clientOf(command: Command, { io }: CommandHost): AdminClient {
  const { socket } = command.optsWithGlobals<{ socket?: string }>();
  return new AdminClient(socket ?? io.env['TUNWRIGHT_SOCKET'] ?? DEFAULT_SOCKET);
}

export const socketOption = (): Option =>
  new Option('--socket <path>', `admin socket of the daemon (TUNWRIGHT_SOCKET, else ${DEFAULT_SOCKET})`);

async function show<T>(view: View<T>, source: Source): Promise<number> {
  const { io, options } = source;
  let exitCode: number = Exit.ok;
  const print = (data: T) => {
    exitCode = view.exitCode?.(data) ?? Exit.ok;
    io.out(format(view, data, source));
  };
  if (options.watch && view.follow !== undefined) {
    await view.follow(source, print);
    return exitCode;
  }
  for (;;) {
    const data = await view.load(source);
    if (options.watch && io.isTerminal && options.output === 'table') io.out(CLEAR);
    print(data);
    if (!options.watch) return exitCode;
    await io.sleep(POLL_MS);
    if (io.interrupted.aborted) return exitCode;
  }
}

function format<T>(view: View<T>, data: T, { io, options }: Source): string {
  switch (options.output) {
    case 'table':
      return view.table(data, screenOf(io.now(), isColourful(io)));
    case 'json':
      // One line per answer under -w, so that every line is a document.
      return `${withoutControls(JSON.stringify(data, null, options.watch ? 0 : 2))}\n`;
    case 'yaml':
      return `${options.watch ? '---\n' : ''}${stringify(data)}`;
  }
}

/** https://no-color.org */
export const isColourful = ({ env, isTerminal }: CliIo): boolean =>
  isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';

/** JSON leaves DEL and the C1 controls as they are; a terminal would obey them. */
const withoutControls = (json: string): string =>
  json.replace(/[\u007f-\u009f]/g, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
