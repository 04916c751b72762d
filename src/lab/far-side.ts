import { z } from 'zod';
import { TENANT } from './branch-config.ts';
import { gatewayOrders } from './gateway/order.ts';
import { MICROSOFT_PREFIXES } from './microsoft-prefixes.ts';
import { setUpNode } from './namespaces.ts';
import type { Role } from './role.ts';
import type { Roles } from './roles.ts';
import { BRANCH, ENTRA, MICROSOFT_ASN, NAT_INSIDE, PROBE, ZONES, type Zone } from './topology.ts';

/** Octets; what a link has by default, so that both ends agree. */
const TUNNEL_MTU = 1380;

const linkEvent = z.object({ event: z.enum(['link-created', 'link-deleted']), link: z.unknown() });
const natAnswer = z.discriminatedUnion('event', [
  z.object({ event: z.literal('done') }),
  z.object({ event: z.literal('refused'), reason: z.string() }),
]);

/** Microsoft's side: both gateways, and the simulated Entra whose device links are the gateways' orders. */
export async function startMicrosoft(roles: Roles, clientSecret: string): Promise<void> {
  const gateways = ZONES.map((zone) => startGateway(roles, zone));
  const onMessage = (message: unknown): void => {
    const event = linkEvent.safeParse(message);
    if (event.success) instruct(gateways, event.data);
  };
  await Promise.all([...gateways, startEntra(roles, clientSecret, onMessage)]);
}

function instruct(gateways: readonly Promise<Role>[], { event, link }: z.infer<typeof linkEvent>): void {
  const orders = event === 'link-created' ? gatewayOrders(link) : [];
  for (const [i, gateway] of gateways.entries()) {
    const order = orders[i] ?? { command: 'withdraw' };
    // A gateway that did not start has ended the lab already.
    void gateway.then((role) => role.send(order)).catch(() => undefined);
  }
}

async function startGateway(roles: Roles, zone: Zone): Promise<Role> {
  await setUpNode(zone.node, true);
  const options = {
    endpoint: zone.endpoint,
    device: 'gsa0',
    mtu: TUNNEL_MTU,
    asn: MICROSOFT_ASN,
    announced: MICROSOFT_PREFIXES,
    probe: PROBE,
  };
  const args = [JSON.stringify(options)];
  return roles.startReady({ name: zone.node, node: zone.node, program: 'gateway/main.js', args });
}

/** Options come on standard input: the secret would show in the list of processes. */
async function startEntra(roles: Roles, clientSecret: string, onMessage: (message: unknown) => void): Promise<void> {
  await setUpNode('entra', true);
  const endpoints = { '*': ZONES.map(({ endpoint }) => ({ endpoint, asn: MICROSOFT_ASN, region: 'franceCentral' })) };
  const input = JSON.stringify({ ...TENANT, clientSecret, ...ENTRA, endpoints });
  const spec = { name: 'entra', node: 'entra', program: 'entra-sim/main.js', args: [], outputHoldsKeys: true } as const;
  await roles.startReady({ ...spec, input, onMessage });
}

/** The router's source NAT; undefined once it is in place, else the kernel's reason to refuse. */
export async function startNat(roles: Roles): Promise<string | undefined> {
  const args = [JSON.stringify({ inside: NAT_INSIDE, outside: BRANCH.publicIp })];
  const answer = await roles.ask({ name: 'nat', node: 'router', program: 'nat/main.js', args }, natAnswer);
  return answer.event === 'done' ? undefined : answer.reason;
}
