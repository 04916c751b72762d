import type { Command } from 'commander';
import type {
  AlarmView,
  Health,
  LinkView,
  NatView,
  RegistrationView,
  StatusView,
  TunnelView,
} from '../../admin/wire.ts';
import { Exit } from '../exit.ts';
import { age, ago, bytes, type Column, orDash, plain, type Screen, table, uptime } from '../render.ts';
import { addView, type CommandHost } from '../view.ts';

export function registerStatus(program: Command, host: CommandHost): void {
  addView<StatusView>(program, host, {
    name: 'status',
    summary: 'site, tunnels, BGP and alarms on one screen',
    load: ({ client }) => client.get('/v1/status'),
    table: statusScreen,
    exitCode: ({ health }) => ({ ok: Exit.ok, degraded: Exit.degraded, down: Exit.down })[health],
  });
}

/** One screen: what the site is, each tunnel, why a broken one is broken, the WANs, the alarms. */
export function statusScreen(status: StatusView, screen: Screen): string {
  const tunnels = status.links.flatMap((link) => link.tunnels);
  return [
    header(status, screen),
    tunnels.length === 0 ? 'No tunnels yet.\n' : table(tunnelColumns(tunnels, screen), tunnels),
    ...tunnels.filter((tunnel) => tunnel.first_broken_layer !== null).map((tunnel) => brokenLine(tunnel, screen)),
    ...status.links.map(wanLine),
    ...alarmLines(status.alarms, screen),
  ].join('');
}

const HEALTH: Readonly<Record<Health, string>> = { ok: '● healthy', degraded: '! degraded', down: '✘ down' };

function header({ site, version, health, started_at, registration }: StatusView, screen: Screen): string {
  const { colors, now } = screen;
  const paint = { ok: colors.green, degraded: colors.yellow, down: colors.red }[health];
  const parts = [
    paint(HEALTH[health]),
    registered(registration),
    `since ${uptime(started_at, now)}`,
    `version ${version}`,
  ];
  const first = `${colors.bold(plain(site))}  ${parts.join('   ')}\n`;
  const isTelling = registration.state === 'pending' || registration.state === 'failed';
  return isTelling ? `${first}Registration ${registration.state}: ${plain(registration.detail)}\n` : first;
}

function registered({ state, remote_network, connector }: RegistrationView): string {
  switch (state) {
    case 'manual':
      return 'not registered (manage: manual)';
    case 'registered':
      return plain(`registered as "${remote_network}" in ${connector ?? 'Microsoft Entra'}`);
    case 'pending':
      return 'being registered';
    case 'failed':
      return 'not registered';
  }
}

function tunnelColumns(tunnels: readonly TunnelView[], { colors }: Screen): readonly Column<TunnelView>[] {
  const paint = (text: string) => (text.startsWith('●') ? colors.green(text) : colors.red(text));
  const isMeasured = tunnels.some((tunnel) => tunnel.rtt_ms !== null || tunnel.loss !== null);
  const measured: readonly Column<TunnelView>[] = [
    { title: 'RTT', align: 'right', cell: ({ rtt_ms }) => (rtt_ms === null ? '-' : `${rtt_ms.toFixed(0)}ms`) },
    { title: 'LOSS', align: 'right', cell: ({ loss }) => (loss === null ? '-' : `${(loss * 100).toFixed(1)}%`) },
  ];
  return [
    { title: 'LINK', cell: ({ link }) => link },
    { title: 'ZONE', cell: ({ zone }) => String(zone) },
    { title: 'TUNNEL', cell: (tunnel) => tunnel.interface },
    { title: 'ENDPOINT', cell: ({ endpoint }) => endpoint },
    { title: 'IKE', cell: ({ ike }) => upOr(ike.state, ike.age_s), paint },
    { title: 'ESP', cell: ({ child }) => upOr(child.state, child.age_s), paint },
    { title: 'BGP', cell: bgpCell, paint },
    {
      title: 'PFX',
      align: 'right',
      cell: ({ bgp }) => String(bgp.reduce((sum, each) => sum + each.prefixes_accepted, 0)),
    },
    ...(isMeasured ? measured : []),
    { title: 'TX/RX', cell: ({ child }) => `${bytes(child.bytes_out)} / ${bytes(child.bytes_in)}` },
  ];
}

const upOr = (state: string, age_s: number | null): string =>
  state === 'established' ? `● ${age(age_s)}` : `✘ ${state}`;

/** The session, or the worst of several. */
function bgpCell({ bgp }: TunnelView): string {
  const worst = bgp.find((session) => session.state !== 'established') ?? bgp[0];
  return worst === undefined ? '✘ none' : upOr(worst.state, worst.uptime_s);
}

function brokenLine(tunnel: TunnelView, { colors }: Screen): string {
  const { link, zone, first_broken_layer: layer, reason } = tunnel;
  return `${colors.red(`✘ ${plain(link)}/${zone}`)} broken at ${layer}: ${plain(reason ?? 'no reason given')}\n`;
}

function wanLine(link: LinkView): string {
  const { wan, local_ip, public_ip, tunnels } = link;
  const device = `WAN ${wan}: ${link.interface}`;
  const nats = tunnels.map(({ ike }) => ike.nat).filter(({ local }) => local === true);
  if (nats.length > 0) return `${plain(`${device} ${orDash(local_ip)}, ${behindNat(nats)}`)}\n`;
  const here = local_ip !== public_ip && local_ip !== null ? ` (behind NAT, here ${local_ip})` : '';
  return `${plain(`${device} ${orDash(public_ip)}${here}`)}\n`;
}

/** Such as `behind NAT, outside 203.0.113.7:61234, port rewritten, using 4500`; each tunnel has a mapping of its own. */
function behindNat(nats: readonly NatView[]): string {
  const outside = [...new Set(nats.map((nat) => nat.outside).filter((seen) => seen !== null))];
  const rewritten = nats.some(({ port_rewritten }) => port_rewritten === true);
  const only = nats.some(({ inside_port }) => inside_port === 4500) ? ' only' : '';
  return [
    'behind NAT',
    outside.length === 0 ? 'outside address unknown' : `outside ${outside.join(' and ')}`,
    ...(rewritten ? ['port rewritten'] : []),
    `using 4500${only}`,
  ].join(', ');
}

function alarmLines(alarms: readonly AlarmView[], { colors, now }: Screen): string[] {
  if (alarms.length === 0) return ['Alarms: none\n'];
  return alarms.map(({ code, severity, message, since }) => {
    const paint = severity === 'critical' ? colors.red : colors.yellow;
    return `${paint(`Alarm ${severity}`)} ${plain(code)}: ${plain(message)} (${ago(since, now)})\n`;
  });
}
