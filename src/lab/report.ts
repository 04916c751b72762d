import { statusScreen } from '../cli/commands/status.ts';
import { type Screen, table } from '../cli/render.ts';
import type { LabPaths } from './directory.ts';
import { formatTotal, total } from './ping/statistics.ts';
import { CLIENT_ADDRESSES, PROBE } from './topology.ts';
import { type Evidence, type Expected, traffic, type Verdict } from './verdict.ts';

/** What the lab found, as a person reads it. */
export function reportEvidence(evidence: Evidence, expected: Expected, screen: Screen): string {
  return ['', statusScreen(evidence.status, screen), routeLines(evidence), tunnelLines(evidence, expected)].join('\n');
}

/** `13.107.6.152/31 → tw0, tw1` */
function routeLines({ ecmp }: Evidence): string {
  const lines = ecmp.map(({ prefix, devices }) => `  ${prefix} → ${devices.join(', ')}\n`);
  return `Routes of table 7700\n${lines.join('')}`;
}

function tunnelLines({ client, bound, sasBefore, sasAfter }: Evidence, { interfaces }: Expected): string {
  const rows = traffic(sasBefore, sasAfter, interfaces).map((each) => {
    const own = bound.filter((summary) => summary.device === each.interface);
    return { ...each, bound: formatTotal(total(own)) };
  });
  const shown = table(
    [
      { title: 'TUNNEL', cell: (row) => row.interface },
      { title: 'PACKETS OUT', align: 'right', cell: (row) => String(row.packetsOut) },
      { title: 'PACKETS IN', align: 'right', cell: (row) => String(row.packetsIn) },
      { title: 'PING BOUND TO THE TUNNEL', cell: (row) => row.bound },
    ],
    rows,
  );
  const [toProbe, toPrefixes] = [true, false].map((isProbe) =>
    formatTotal(total(client.filter(({ to }) => (to === PROBE.address) === isProbe))),
  );
  return (
    `Pings from the LAN to the probe target ${PROBE.address}, ${CLIENT_ADDRESSES.length} source addresses: ${toProbe}\n` +
    `Pings from the LAN into the announced prefixes: ${toPrefixes}\n${shown}`
  );
}

export function reportVerdict({ failures }: Verdict, seconds: number): string {
  if (failures.length === 0)
    return `\nThe lab is healthy: every check held, ${seconds.toFixed(2)} s after the start.\n`;
  return `\nNot everything held:\n${failures.map((failure) => `  ✘ ${failure}\n`).join('')}`;
}

/** How to go on from another terminal. `pid`: of a process inside, as seen from outside. */
export function lookInside(paths: LabPaths, pid: string, isUserNamespace: boolean): string {
  const enter = `nsenter --target ${pid} ${isUserNamespace ? '--user --preserve-credentials ' : ''}--mount`;
  const cli = process.argv[1]?.replace(/lab\/main\.js$/, 'cli/main.js') ?? 'tunwright';
  return (
    `\nThe lab runs until Ctrl-C (or \`tunwright lab down\`). From another terminal:\n` +
    `  node ${cli} --socket ${paths.socket} status\n` +
    `  ${enter} -- nsenter --net=/run/netns/branch -- ip route show table 7700\n` +
    `Configuration: ${paths.config}   logs: ${paths.logs}\n`
  );
}
