import type { Socket } from 'node:net';

/** Who is at the other end of a unix socket (SO_PEERCRED); the kernel vouches for it. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export type Access = 'read' | 'write';

/**
 * Root and the daemon's own user may write. Everybody else who got through the socket's mode 0660 is in its group and
 * may read.
 */
export const accessOf = (peer: PeerCredentials, ownUid: number): Access =>
  peer.uid === 0 || peer.uid === ownUid ? 'write' : 'read';

/** Descriptor of a connected socket; Node offers it on the handle only. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
