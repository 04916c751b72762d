import { eventually } from '../../test/netns/eventually.ts';
import { type RunningProcess, run } from '../../test/netns/process.ts';
import { Topology } from '../../test/netns/topology.ts';

/** What every contender gives its tunnel device. */
export const TUNNEL_MTU = 1400;

interface End {
  readonly namespace: string;
  /** Of the veth pair that carries the tunnel. */
  readonly outer: string;
  /** On `lo`; routed through the tunnel at the other end. */
  readonly inner: string;
}

/**
 * Two hosts with nothing between them but one veth pair (1500 octets), for one contender:
 *
 *   near  192.0.3.1 ─────── 192.0.3.2  far
 *         169.254.21.1 ~~~~ 169.254.21.2   through the contender's tunnel
 */
export class Rig {
  readonly topology: Topology;
  readonly near: End;
  readonly far: End;

  private constructor(topology: Topology) {
    this.topology = topology;
    this.near = { namespace: topology.namespace('branch'), outer: '192.0.3.1', inner: '169.254.21.1' };
    this.far = { namespace: topology.namespace('zone1'), outer: '192.0.3.2', inner: '169.254.21.2' };
  }

  static async create(): Promise<Rig> {
    const rig = new Rig(await Topology.create());
    const { near, far } = rig;
    const [device, peer] = [near, far].map(({ namespace }) => ['direct0', 'netns', namespace]);
    await run('ip', ['link', 'add', ...(device ?? []), 'type', 'veth', 'peer', 'name', ...(peer ?? [])]);
    for (const { namespace, outer, inner } of [near, far]) {
      await run('ip', ['-n', namespace, 'addr', 'add', `${outer}/24`, 'dev', 'direct0']);
      await run('ip', ['-n', namespace, 'link', 'set', 'direct0', 'up']);
      await run('ip', ['-n', namespace, 'addr', 'replace', `${inner}/32`, 'dev', 'lo']);
    }
    return rig;
  }

  /** Each end's inner address is reached through `device` at the other end. */
  async route(device: string): Promise<void> {
    for (const [from, to] of [
      [this.near, this.far],
      [this.far, this.near],
    ] as const) {
      const route = ['route', 'replace', `${to.inner}/32`, 'dev', device, 'src', from.inner];
      await run('ip', ['-n', from.namespace, ...route]);
    }
  }

  /** Starts a program at one end and waits until it has written `ready`. */
  async start(end: 'near' | 'far', command: string, args: readonly string[], ready?: RegExp): Promise<RunningProcess> {
    const started = this.topology.start(command, args, { namespace: this[end].namespace });
    if (ready === undefined) return started;
    await eventually(`${command} is ready`, 15_000, () => started.lines.some((line) => ready.test(line)));
    return started;
  }

  async remove(): Promise<void> {
    await this.topology.remove();
  }
}
