import { HEADER_OCTETS, MessageType } from '../../../src/bgp/wire/iana.ts';
import { type BgpMessage, encodeMessage } from '../../../src/bgp/wire/message.ts';
import { fromHex } from '../../../src/lib/bytes.ts';
import { ip } from '../../../src/lib/ip.ts';
import { RFC7606 } from '../../unit/bgp/rfc7606.ts';
import type { BodyInput } from '../targets/bgp-decoder.ts';

const PREFIX = '0e3460';

/** A message of each kind, and an UPDATE for each row of RFC 7606. */
export function bgpSeeds(): BodyInput[] {
  const updates = RFC7606.map(({ attributes }): BodyInput => {
    const length = (attributes.length / 2).toString(16).padStart(4, '0');
    return { asnOctets: 4, type: MessageType.Update, body: fromHex(`0000${length}${attributes}${PREFIX}`) };
  });
  const others = OTHERS.map((message): BodyInput => {
    const bytes = encodeMessage(message, { asnOctets: 4 });
    return { asnOctets: 4, type: bytes[HEADER_OCTETS - 1] ?? 0, body: bytes.slice(HEADER_OCTETS) };
  });
  const withdrawal: BodyInput = { asnOctets: 2, type: MessageType.Update, body: fromHex('0003100a010000') };
  return [...others, withdrawal, ...updates];
}

const OTHERS: readonly BgpMessage[] = [
  { kind: 'keepalive' },
  {
    kind: 'open',
    open: {
      asn: 65476,
      holdTimeSec: 180,
      routerId: ip('169.254.21.2'),
      capabilities: [
        { kind: 'multiprotocol', afi: 1, safi: 1 },
        { kind: 'route-refresh' },
        { kind: 'four-octet-as', asn: 65476 },
        { kind: 'role', role: 0 },
        {
          kind: 'graceful-restart',
          restarting: false,
          notification: true,
          restartTimeSec: 120,
          families: [{ afi: 1, safi: 1, forwarding: true }],
        },
      ],
    },
  },
  { kind: 'notification', notification: { code: 6, subcode: 2, data: fromHex('0568656c6c6f') } },
  { kind: 'notification', notification: { code: 3, subcode: 1, data: new Uint8Array(0) } },
  { kind: 'route-refresh', afi: 1, safi: 1, subtype: 0 },
  { kind: 'route-refresh', afi: 1, safi: 1, subtype: 1 },
  { kind: 'route-refresh', afi: 1, safi: 1, subtype: 2 },
];
