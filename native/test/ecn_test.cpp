#include "../core/ecn.hpp"

#include "packets.hpp"

using namespace tunwright;
using packets::Bytes;

namespace {

Bytes marked(int version, uint8_t traffic_class) {
  Bytes packet = packets::make({.version = version}, Bytes(20, 7));
  if (version == 4) {
    packet[1] = traffic_class;
  } else {
    packet[0] = static_cast<uint8_t>(0x60 | traffic_class >> 4);
    packet[1] = static_cast<uint8_t>(traffic_class << 4 | 0x0a);  // and the start of a flow label
  }
  packets::fix_checksums(packet);
  return packet;
}

}  // namespace

TEST("ECN: leaves the tunnel as RFC 6040 figure 4 says, with DSCP, flow label and checksum untouched") {
  struct Row {
    uint8_t inner, outer;
    int forwarded;  // -1: dropped
  };
  // 00 Not-ECT, 01 ECT(1), 10 ECT(0), 11 CE, in the order of the figure.
  const Row figure[] = {
      {0, 0, 0}, {0, 2, 0}, {0, 1, 0}, {0, 3, -1},  //
      {2, 0, 2}, {2, 2, 2}, {2, 1, 1}, {2, 3, 3},   //
      {1, 0, 1}, {1, 2, 1}, {1, 1, 1}, {1, 3, 3},   //
      {3, 0, 3}, {3, 2, 3}, {3, 1, 3}, {3, 3, 3},
  };
  for (const Row& row : figure) {
    for (const int version : {4, 6}) {
      for (const uint8_t dscp : Bytes{0x00, 0xb8, 0xfc}) {
        Bytes packet = marked(version, static_cast<uint8_t>(dscp | row.inner));
        EXPECT(traffic_class(packet.data()) == (dscp | row.inner));
        // The outer DSCP is the path's and stays outside.
        const bool kept = decapsulate_ecn(packet.data(), static_cast<uint8_t>(0x28 | row.outer));
        EXPECT(kept == (row.forwarded >= 0));
        if (kept) EXPECT(packet == marked(version, static_cast<uint8_t>(dscp | row.forwarded)));
      }
    }
  }
}

TEST("ECN: enters the tunnel always, the DSCP only when asked") {
  EXPECT(outer_traffic_class(0xba, false) == 0x02);
  EXPECT(outer_traffic_class(0xba, true) == 0xba);
  EXPECT(outer_traffic_class(0xb8, false) == 0x00);
}
