import type { BgpTransport, BgpTransportHandlers } from '../../../src/agent/bgp-peer.ts';

type Accept = (transport: BgpTransport) => Omit<BgpTransportHandlers, 'onConnected'>;

/** A TCP connection in memory: ordered, never synchronous; `accept` is the listening end, undefined refuses. */
export function connectPipe(dialer: BgpTransportHandlers, accept: Accept | undefined): BgpTransport {
  const later = (fn: () => void): void => queueMicrotask(fn);
  if (accept === undefined) {
    later(() => dialer.onClosed('connect ECONNREFUSED'));
    return { write: nothing, end: nothing, abort: nothing };
  }
  let open = true;
  let far: Omit<BgpTransportHandlers, 'onConnected'> | undefined;
  const close = (farReason: string): void => {
    if (!open) return;
    open = false;
    later(() => {
      dialer.onClosed('closed by us');
      far?.onClosed(farReason);
    });
  };
  const farEnd: BgpTransport = {
    write: (bytes) => {
      later(() => dialer.onData(bytes));
      later(() => far?.onSent());
    },
    end: () => later(() => close('closed by us')),
    abort: () => close('closed by us'),
  };
  later(() => {
    far = accept(farEnd);
    dialer.onConnected();
  });
  return {
    write: (bytes) => {
      later(() => far?.onData(bytes));
      later(() => dialer.onSent());
    },
    end: () => later(() => close('closed by the peer')),
    abort: () => close('connection reset'),
  };
}

const nothing = (): void => undefined;
