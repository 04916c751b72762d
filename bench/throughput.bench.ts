/**
 * Tunnels in userspace side by side, in turns, on the same two-ended rig: strongSwan's kernel-libipsec, OpenVPN, wireguard-go, a relay
 * without cryptography, tunwright's packet path at both ends, and the whole daemon towards a real strongSwan. AES-256-GCM (WireGuard:
 * ChaCha20-Poly1305), UDP encapsulation, TUN MTU 1400; both ends, the generator and the sink share this machine.
 *
 *   npm run bench -- throughput [--tcp|--udp] [rounds] [part of a contender's name …]
 *
 * `--tcp` leaves out the search for loss-free UDP rates, which takes most of the time; `--udp` does nothing else. Nobody searches
 * for those of the relay, and of the daemon towards kernel-libipsec, which is the bound there.
 */
import { report, type Series } from './report.ts';
import { CONTENDERS, type Contender, type Running } from './throughput/contenders.ts';
import { cpuSeconds, Load, residentMb } from './throughput/measures.ts';
import { Rig } from './throughput/rig.ts';

const UDP_SIZES = [64, 512, 1400];
const UDP_CONTENDERS = ['kernel-libipsec', 'OpenVPN', 'wireguard-go', 'tunwright', 'tunwright, vaes'];
const BASE = 'kernel-libipsec';
/** What else a contender is divided by. */
const RELAY = 'relay without cryptography';
const ALSO_BESIDE: Readonly<Record<string, string>> = { tunwright: RELAY, 'tunwright, vaes': RELAY };

interface Seat {
  readonly contender: Contender;
  readonly rig: Rig;
  readonly running: Running;
  readonly load: Load;
}

const words = process.argv.slice(2);
const [withTcp, withUdp] = [!words.includes('--udp'), !words.includes('--tcp')];
const [rounds = '5', ...wanted] = words.filter((word) => !word.startsWith('--'));
const chosen = CONTENDERS.filter(
  ({ name }) =>
    (withTcp || UDP_CONTENDERS.includes(name)) &&
    (name === BASE || wanted.length === 0 || wanted.some((part) => name.includes(part))),
);
const seats: Seat[] = [];
const rigs: Rig[] = [];
const series = new Map<string, { unit: string; values: number[] }>();
try {
  for (const contender of chosen) seats.push(await seat(contender));
  for (let round = 0; round < Number(rounds); round += 1) {
    if (withTcp) for (const each of seats) await measureTcp(each);
    if (withUdp) for (const each of seats) await measureUdp(each);
    console.log(`round ${round + 1} of ${rounds}`);
  }
  await report(`throughput${withUdp ? '' : '-tcp'}${withTcp ? '' : '-udp'}`, rows());
} finally {
  for (const { running } of seats) await running.stop?.();
  for (const rig of rigs) await rig.remove();
}

async function seat(contender: Contender): Promise<Seat> {
  const rig = await Rig.create();
  rigs.push(rig);
  const running = await contender.start(rig);
  const load = await Load.start(rig);
  await load.tcp(1, false);
  return { contender, rig, running, load };
}

async function measureTcp({ contender: { name }, running: { pids }, load }: Seat): Promise<void> {
  note(name, 'idle RTT', 'ms', await load.idleRttMs());
  const before = await cpuSeconds(pids);
  const one = await load.tcp(1, false);
  note(name, 'TCP 1 stream', 'Gbit/s', one.gbps);
  note(name, 'CPU', 's/GB', ((await cpuSeconds(pids)) - before) / (one.octets / 1e9));
  note(name, 'TCP 1 stream, back', 'Gbit/s', (await load.tcp(1, true)).gbps);
  note(name, 'TCP 4 streams', 'Gbit/s', (await load.tcp(4, false)).gbps);
  note(name, 'TCP 4 streams, back', 'Gbit/s', (await load.tcp(4, true)).gbps);
  note(name, 'RSS', 'MB', await residentMb(pids));
}

async function measureUdp({ contender: { name }, load }: Seat): Promise<void> {
  for (const size of UDP_CONTENDERS.includes(name) ? UDP_SIZES : []) {
    const what = `UDP ${size} B loss-free`;
    const last = series.get(`${what}: ${name}`)?.values.at(-1);
    note(name, what, 'kpps', await load.lossFreeKpps(size, last));
  }
}

function note(contender: string, measured: string, unit: string, value: number): void {
  const key = `${measured}: ${contender}`;
  const known = series.get(key) ?? { unit, values: [] };
  series.set(key, known);
  known.values.push(value);
}

/** Measure by measure, each contender beside the base. */
function rows(): Series[] {
  const measures = [...new Set([...series.keys()].map((key) => key.split(': ')[0]))];
  return measures.flatMap((measured) =>
    chosen.flatMap(({ name }) => {
      const key = `${measured}: ${name}`;
      const found = series.get(key);
      if (found === undefined) return [];
      const also = ALSO_BESIDE[name];
      const bases = name === BASE ? [undefined] : [BASE, ...(also === undefined ? [] : [also])];
      return bases.map((base) => ({
        ...{ name: key, ...found },
        ...(base !== undefined && { against: `${measured}: ${base}` }),
      }));
    }),
  );
}
