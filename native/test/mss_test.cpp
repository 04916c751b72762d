#include "../core/mss.hpp"

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

TEST("MSS clamp: finds the SYN behind IPv4 options and IPv6 extension headers, and lowers every MSS option") {
  Bytes v4 = syn(4, {2, 4, 0x05, 0xb4, 2, 4, 0x23, 0x00});
  v4.insert(v4.begin() + 20, {1, 1, 1, 1, 0x94, 4, 0, 0});
  v4[0] = 0x47;
  store16(&v4[2], static_cast<uint16_t>(v4.size()));
  packets::fix_checksums(v4);
  clamp_mss(v4.data(), v4.size(), 1380, L4Checksum::complete);
  EXPECT(load16(&v4[50]) == 1340 && load16(&v4[54]) == 1340);
  EXPECT(packets::checksums_hold(v4));

  for (const bool fragmented : {false, true}) {
    Bytes v6 = syn(6, {2, 4, 0x05, 0xb4});
    const uint16_t before = load16(&v6[56]);
    // Hop-by-hop options and a fragment header: an atomic fragment is none (RFC 6946).
    const Bytes extensions = {44, 0, 1, 4, 0, 0, 0, 0, packets::kTcp, 0, 0, static_cast<uint8_t>(fragmented ? 1 : 0), 0, 0, 0, 9};
    v6[6] = 0;
    v6.insert(v6.begin() + 40, extensions.begin(), extensions.end());
    store16(&v6[4], static_cast<uint16_t>(v6.size() - 40));
    clamp_mss(v6.data(), v6.size(), 1380, L4Checksum::complete);
    EXPECT(load16(&v6[40 + 16 + 22]) == (fragmented ? 1460 : 1320));
    if (fragmented) continue;
    v6.erase(v6.begin() + 40, v6.begin() + 56);
    v6[6] = packets::kTcp;
    store16(&v6[4], static_cast<uint16_t>(v6.size() - 40));
    EXPECT(packets::checksums_hold(v6) && load16(&v6[56]) != before);
  }
}

TEST("MSS clamp: never offers less than nothing, whatever the MTU") {
  Bytes packet = syn(6, {2, 4, 0x05, 0xb4});
  clamp_mss(packet.data(), packet.size(), 40, L4Checksum::complete);
  EXPECT(load16(&packet[62]) == 0 && packets::checksums_hold(packet));
}
