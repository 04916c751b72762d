#include "../core/ip_packet.hpp"

#include "packets.hpp"

using namespace tunwright;
using packets::Bytes;

namespace {

/** A SYN whose options are `options`, padded to a multiple of four. */
Bytes syn(int version, Bytes options, uint8_t flags = 0x02) {
  while (options.size() % 4 != 0) options.push_back(0);
  Bytes packet = packets::make({.version = version, .options = options.size(), .flags = flags}, {});
  std::copy(options.begin(), options.end(), packet.begin() + (version == 4 ? 40 : 60));
  packets::fix_checksums(packet);
  return packet;
}

}  // namespace

TEST("MSS clamp: lowers a larger MSS and keeps the checksum right, at even and odd offsets") {
  for (const int version : {4, 6}) {
    for (const Bytes& before : {Bytes{}, Bytes{1}, Bytes{1, 1}, Bytes{1, 1, 1}, Bytes{4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0}}) {
      Bytes options = before;
      options.insert(options.end(), {2, 4, 0x05, 0xb4});  // 1460
      Bytes packet = syn(version, options);
      const size_t mss = (version == 4 ? 40u : 60u) + before.size() + 2;
      clamp_mss(packet.data(), packet.size(), 1380, L4Checksum::complete);
      EXPECT(load16(&packet[mss]) == (version == 4 ? 1340 : 1320));
      EXPECT(packets::checksums_hold(packet));
    }
  }
}

TEST("MSS clamp: leaves a partial checksum, a smaller MSS, other packets and fragments alone") {
  Bytes partial = syn(4, {2, 4, 0x05, 0xb4});
  const uint16_t field = load16(&partial[36]);
  clamp_mss(partial.data(), partial.size(), 1380, L4Checksum::partial);
  EXPECT(load16(&partial[42]) == 1340 && load16(&partial[36]) == field);

  Bytes fragment = syn(4, {2, 4, 0x05, 0xb4});
  fragment[7] = 1;
  for (const Bytes& packet : {syn(4, {2, 4, 0x02, 0x18}), syn(4, {2, 4, 0x05, 0xb4}, 0x10), syn(4, {}), fragment}) {
    Bytes clamped = packet;
    clamp_mss(clamped.data(), clamped.size(), 1380, L4Checksum::complete);
    EXPECT(clamped == packet);
  }
}

TEST("MSS clamp: survives broken options and truncation") {
  for (const Bytes& options : {Bytes{2}, Bytes{2, 0}, Bytes{2, 255, 1, 1}, Bytes{2, 4, 5}, Bytes{8, 1, 1, 1}, Bytes{2, 4}}) {
    Bytes packet = syn(4, options);
    clamp_mss(packet.data(), packet.size(), 1380, L4Checksum::complete);
  }
  const Bytes whole = syn(4, {1, 2, 4, 0x05, 0xb4});
  for (size_t length = 1; length < whole.size(); length++) {
    Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length));
    clamp_mss(cut.data(), cut.size(), 1380, L4Checksum::complete);
  }
}

TEST("IP length: comes from the header, never exceeds what is there, and needs the announced version") {
  Bytes v4 = packets::make({.version = 4}, check::octets(30));
  Bytes v6 = packets::make({.version = 6}, check::octets(30));
  const size_t v4_length = v4.size();
  v4.resize(v4_length + 50);  // traffic flow confidentiality padding
  EXPECT(ip_length(v4.data(), v4.size(), 4) == v4_length);
  EXPECT(ip_length(v6.data(), v6.size(), 41) == v6.size());
  EXPECT(ip_length(v4.data(), v4_length - 1, 4) == 0);
  EXPECT(ip_length(v6.data(), v6.size() - 1, 41) == 0);
  EXPECT(ip_length(v4.data(), v4.size(), 41) == 0);
  EXPECT(ip_length(v6.data(), v6.size(), 4) == 0);
  v4[0] = 0x44;  // a header shorter than itself
  EXPECT(ip_length(v4.data(), v4.size(), 4) == 0);
}
