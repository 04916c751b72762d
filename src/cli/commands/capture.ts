import { type Command, Option } from 'commander';
import { Exit } from '../exit.ts';
import { type CommandHost, clientOf, socketOption } from '../view.ts';
import { writeWhole } from '../write-whole.ts';

interface CaptureOptions {
  readonly tunnel?: string;
  readonly seconds: string;
  readonly packets: string;
  readonly snap: string;
}

export function registerCapture(program: Command, host: CommandHost): void {
  program
    .command('capture')
    .description('packets of a tunnel as a pcapng file for Wireshark: inside it (inner) or on the wire (outer)')
    .addArgument(program.createArgument('<side>', 'which packets').choices(['inner', 'outer']))
    .argument('<file>', 'where they go when the time is over')
    .option('-t, --tunnel <name>', 'such as fiber/1; may be left out when there is only one')
    .option('-s, --seconds <n>', 'for how long, up to 3600', '10')
    .option('-n, --packets <n>', 'the last so many are kept, up to 16384, of each packet thread', '10000')
    .addOption(new Option('--snap <octets>', 'that are kept of each packet, 64 to 9216').default('1600'))
    .addOption(socketOption())
    .action(async (side: string, file: string, options: CaptureOptions, command: Command) => {
      const { tunnel, seconds, packets, snap } = options;
      const query = new URLSearchParams({ side, seconds, packets, snap, ...(tunnel !== undefined && { tunnel }) });
      await writeWhole(file, clientOf(command, host).pieces(`/v1/capture?${query}`));
      host.finish(Exit.ok);
    });
}
