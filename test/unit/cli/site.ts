import type { IkeHistoryView, NeighborView, SaView, StatusView, TunnelView } from '../../../src/admin/wire.ts';
import { FakeViews, NEIGHBOR } from '../admin/fake-views.ts';

const SUITE = 'AES-CBC-256 HMAC-SHA2-384-192 P-384';

const UP: TunnelView = {
  link: 'fiber',
  zone: 1,
  interface: 'tw0',
  endpoint: '198.51.100.20',
  local_endpoint: '192.168.1.2:4500',
  encap: 'udp',
  state: 'established',
  first_broken_layer: null,
  reason: null,
  ike: {
    state: 'established',
    spi_i: '0011223344556677',
    spi_r: '8899aabbccddeeff',
    suite: SUITE,
    age_s: 7_300,
    rekey_in_s: 21_500,
    nat: { local: true, remote: false, outside: '203.0.113.10:61234', inside_port: 500, port_rewritten: true },
  },
  child: {
    state: 'established',
    spi_in: 'c1c2c3c4',
    spi_out: 'cee78125',
    suite: 'AES-GCM-256 P-384',
    age_s: 1_870,
    rekey_in_s: 1_500,
    bytes_in: 19_600_000,
    bytes_out: 8_400,
  },
  bgp: [
    {
      peer: '169.254.21.2',
      asn: 65476,
      state: 'established',
      uptime_s: 272_000,
      prefixes_received: 25,
      prefixes_accepted: 25,
    },
  ],
  rtt_ms: null,
  loss: null,
};

const BROKEN: TunnelView = {
  ...UP,
  zone: 2,
  interface: 'tw1',
  endpoint: '198.51.100.84',
  state: 'backoff',
  first_broken_layer: 'ike',
  reason: 'the peer refused our proposal (NO_PROPOSAL_CHOSEN): it expects another suite than mix8',
  ike: {
    state: 'idle',
    spi_i: null,
    spi_r: null,
    suite: null,
    age_s: null,
    rekey_in_s: null,
    nat: { local: null, remote: null, outside: null, inside_port: null, port_rewritten: null },
  },
  child: {
    state: 'idle',
    spi_in: null,
    spi_out: null,
    suite: null,
    age_s: null,
    rekey_in_s: null,
    bytes_in: 0,
    bytes_out: 0,
  },
  bgp: [
    { peer: '169.254.22.2', asn: 65476, state: 'idle', uptime_s: null, prefixes_received: 0, prefixes_accepted: 0 },
  ],
};

/** A registered branch with one link: zone 1 works, zone 2 does not. */
export class Site extends FakeViews {
  tunnels: TunnelView[] = [UP, BROKEN];

  override status(): StatusView {
    return {
      ...super.status(),
      started_at: '2026-11-19T07:49:00.000Z',
      links: [
        {
          name: 'fiber',
          wan: 'fiber',
          interface: 'eth0',
          local_ip: '192.168.1.2',
          public_ip: '203.0.113.10',
          tunnels: this.tunnels,
        },
      ],
      alarms: [
        {
          code: 'tunnel-down',
          severity: 'critical',
          message: 'zone 2 of fiber is down',
          since: '2026-11-22T11:56:00.000Z',
        },
      ],
    };
  }

  override ikeHistory(filter: { tunnel: string | undefined; limit: number }): [] {
    super.ikeHistory(filter);
    return HISTORY as unknown as [];
  }

  override sas(): [] {
    return [SA] as unknown as [];
  }

  override neighbors(): NeighborView[] {
    return [
      NEIGHBOR,
      {
        ...NEIGHBOR,
        peer: '169.254.22.2',
        tunnel: 'fiber/2',
        interface: 'tw1',
        state: 'active',
        uptime_s: null,
        prefixes: { received: 0, accepted: 0, advertised: 0 },
        last_error: 'hold timer expired',
      },
    ];
  }
}

const EXCHANGE: IkeHistoryView = {
  time: '2026-11-22T11:59:18.000Z',
  tunnel: 'fiber/1',
  exchange: 'CREATE_CHILD_SA',
  direction: 'out',
  message_id: 7,
  result: 'ok',
  reason: '',
  spi_i: '0011223344556677',
  spi_r: '8899aabbccddeeff',
  proposal: 'AES-GCM-256 P-384',
  peer: '198.51.100.20',
  duration_ms: 24.6,
  proposal_local: 'AES_GCM_16_256/ECP_384/ESN+NO_ESN',
  proposal_peer: 'AES_GCM_16_256/ECP_384/ESN',
  notify: { sent: ['REKEY_SA'], received: [] },
  nat: null,
};
const HISTORY: readonly IkeHistoryView[] = [
  EXCHANGE,
  {
    ...EXCHANGE,
    time: '2026-11-22T11:50:00.000Z',
    tunnel: 'fiber/2',
    exchange: 'IKE_SA_INIT',
    message_id: 0,
    result: 'failed',
    reason: 'NO_PROPOSAL_CHOSEN: \u001b[31mthe peer expects another suite; here IKE MIX 8 was offered',
    proposal: '',
    peer: '198.51.100.84',
    proposal_local: 'AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384',
    proposal_peer: null,
    notify: { sent: [], received: ['NO_PROPOSAL_CHOSEN'] },
    nat: null,
  },
];

const SA: SaView = {
  tunnel: 'fiber/1',
  interface: 'tw0',
  spi_in: 'c1c2c3c4',
  spi_out: 'cee78125',
  suite: 'AES-GCM-256',
  esn: true,
  replay_window: 4096,
  age_s: 1_870,
  rekey_in_s: 1_500,
  rekey_in_bytes: 12_300_000_000,
  rekey_in_packets: null,
  bytes: { in: 19_600_000, out: 8_400 },
  packets: { in: 14_020, out: 96 },
  sequence: { in: 12, out: 12, missing: 0, reordered: 0 },
  drops: { replay: 3, 'bad-icv': 0 },
  encap: 'udp',
  mtu: 1380,
};
