#include "../core/ip_packet.hpp"

#include "packets.hpp"

using namespace tunwright;
using packets::Bytes;

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

TEST("upper layer: is behind what may stand before it, and nowhere in a fragment or a cut packet") {
  const auto is = [](const Bytes& packet, uint8_t protocol, size_t offset) {
    const UpperLayer upper = upper_layer(packet.data(), packet.size());
    return upper.protocol == protocol && upper.offset == offset;
  };
  const auto none = [](const Bytes& packet) { return upper_layer(packet.data(), packet.size()).protocol == UpperLayer::kNone; };
  Bytes v4 = packets::make({.version = 4}, check::octets(9));
  EXPECT(is(v4, packets::kTcp, 20));
  v4[6] = 0x20;
  EXPECT(none(v4));
  Bytes v6 = packets::make({.version = 6, .protocol = packets::kUdp}, check::octets(100));
  EXPECT(is(v6, packets::kUdp, 40));
  v6[6] = 60;
  v6[40] = 43;
  v6[41] = 1;  // sixteen octets of destination options
  v6[56] = packets::kUdp;
  v6[57] = 0;
  EXPECT(is(v6, packets::kUdp, 64));
  v6[57] = 200;  // longer than the packet
  EXPECT(none(v6));
  v6[6] = 50;  // ESP: what is inside is nobody's business
  EXPECT(is(v6, 50, 40));
  for (size_t length = 1; length < 40; length++) EXPECT(none(Bytes(v6.begin(), v6.begin() + static_cast<ptrdiff_t>(length))));
  for (int round = 0; round < 20000; round++) {
    Bytes noise = check::octets(1 + check::below(120));
    noise[0] = static_cast<uint8_t>((check::below(2) == 0 ? 0x40 : 0x60) | check::below(16));
    if (noise.size() > 6 && check::below(2) == 0) noise[6] = std::vector<uint8_t>{0, 43, 44, 60}[check::below(4)];
    const UpperLayer upper = upper_layer(noise.data(), noise.size());
    EXPECT(upper.protocol == UpperLayer::kNone || upper.offset <= noise.size());
  }
}
