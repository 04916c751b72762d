import type { Command } from 'commander';
import type { RoutesView, RouteView } from '../../admin/wire.ts';
import { CliError, Exit } from '../exit.ts';
import { fields, type Screen, table } from '../render.ts';
import { addView, type CommandHost } from '../view.ts';

export function registerRoute(program: Command, host: CommandHost): void {
  const route = program.command('route').description('learned routes, and where they lead');
  addView<RoutesView>(route, host, {
    name: 'show',
    summary: 'one line for each learned prefix',
    load: ({ client }) => client.get('/v1/routes'),
    table: routesTable,
  });
  addView<RouteView>(route, host, {
    name: 'get <ip>',
    summary: 'the route to one address, all paths to it, and why the others lost',
    load: async ({ client, args }) =>
      pick(await client.get(`/v1/routes?dst=${encodeURIComponent(args[0] ?? '')}`), args),
    table: routeFields,
  });
}

function pick({ routes: [route] }: RoutesView, [destination]: readonly string[]): RouteView {
  if (route !== undefined) return route;
  throw new CliError(
    Exit.notFound,
    `no neighbour has announced a prefix that holds ${destination}: "tunwright bgp summary" shows them`,
  );
}

const OUT_OF_STEP = 'the kernel does not hold all routes yet; "tunwright status" says why if this stays';

function routesTable({ fib, routes }: RoutesView, { colors }: Screen): string {
  const installed = `${fib.installed} of ${fib.desired} routes in the kernel`;
  const state = fib.failed > 0 ? `${installed}, ${fib.failed} refused` : installed;
  const foot = fib.installed === fib.desired ? state : colors.yellow(`${state}: ${OUT_OF_STEP}`);
  if (routes.length === 0) return `Nothing learned yet.\n${foot}\n`;
  const rows = table(
    [
      { title: 'PREFIX', cell: ({ prefix }) => prefix },
      {
        title: 'VIA',
        cell: ({ via }) => via.join(' ') || 'no tunnel',
        paint: (text, { via }) => (via.length === 0 ? colors.red(text) : text),
      },
      {
        title: 'PATHS',
        align: 'right',
        cell: ({ paths }) => `${paths.filter(({ used }) => used).length}/${paths.length}`,
      },
      { title: 'NEIGHBORS', cell: ({ paths }) => paths.map(({ peer, used }) => (used ? peer : `(${peer})`)).join(' ') },
    ],
    routes,
  );
  return `${rows}${foot}\n`;
}

function routeFields({ prefix, via, paths }: RouteView): string {
  return fields([
    ['Prefix', prefix],
    ['Via', via.join(', ') || 'no tunnel is up'],
    ...paths.map((path): [string, string] => [
      path.used ? 'Path' : 'Lost',
      `${path.peer} through ${path.tunnel} on ${path.interface}, ${path.as_path_length} AS, origin ${path.origin}, MED ${path.med}` +
        (path.reason === null ? '' : `: ${path.reason}`),
    ]),
  ]);
}
