#include "../core/icmp.hpp"

#include "../core/rate_limit.hpp"
#include "packets.hpp"

using namespace tunwright;
using packets::Bytes;

namespace {

IcmpError answer(const Bytes& packet, size_t mtu = 1300) {
  IcmpError error;
  packet_too_big(packet.data(), packet.size(), mtu, error);
  return error;
}
bool silent(const Bytes& packet) { return answer(packet).length == 0; }

Bytes icmp(int version, uint8_t type) {
  Bytes packet = packets::make({.version = version, .protocol = packets::kUdp}, check::octets(1400));
  packet[version == 4 ? 9 : 6] = version == 4 ? 1 : 58;
  packet[version == 4 ? 20 : 40] = type;
  return packet;
}

}  // namespace

TEST("ICMP: tells the sender of an IPv4 packet the MTU, with the start of the packet and a right checksum") {
  for (const size_t payload : {100u, 535u, 1400u}) {
    const Bytes packet = packets::make({.version = 4}, check::octets(payload));
    const IcmpError error = answer(packet);
    EXPECT(error.to.size() == 4 && std::memcmp(error.to.data(), &packet[12], 4) == 0);
    EXPECT(error.length == 8 + std::min<size_t>(packet.size(), 548));
    EXPECT(error.message[0] == 3 && error.message[1] == 4 && load16(error.message + 6) == 1300);
    EXPECT(packets::naive_sum(error.message, error.length) == 0xffff);
    EXPECT(std::memcmp(error.message + 8, packet.data(), error.length - 8) == 0);
  }
}

TEST("ICMP: tells the sender of an IPv6 packet the MTU within 1,280 octets, and leaves the checksum to the kernel") {
  const Bytes packet = packets::make({.version = 6}, check::octets(1400));
  const IcmpError error = answer(packet);
  EXPECT(error.to.size() == 16 && std::memcmp(error.to.data(), &packet[8], 16) == 0);
  EXPECT(error.length == 1240 && error.message[0] == 2 && error.message[1] == 0);
  EXPECT(load16(error.message + 2) == 0 && load32(error.message + 4) == 1300);
  EXPECT(std::memcmp(error.message + 8, packet.data(), error.length - 8) == 0);
}

TEST("ICMP: answers no error, no later fragment, and nothing without a single sender") {
  for (const uint8_t type : Bytes{3, 4, 5, 11, 12}) EXPECT(silent(icmp(4, type)));
  for (const uint8_t type : Bytes{0, 8, 13}) EXPECT(!silent(icmp(4, type)));
  for (const uint8_t type : Bytes{1, 2, 3, 4, 100, 137}) EXPECT(silent(icmp(6, type)));
  for (const uint8_t type : Bytes{128, 129, 135}) EXPECT(!silent(icmp(6, type)));

  Bytes v4 = packets::make({.version = 4}, check::octets(1400));
  const auto with_source = [&](uint8_t first) {
    Bytes changed = v4;
    changed[12] = first;
    return changed;
  };
  for (const uint8_t first : Bytes{0, 127, 224, 240, 255}) EXPECT(silent(with_source(first)));
  Bytes multicast = v4;
  multicast[16] = 239;
  EXPECT(silent(multicast));
  v4[7] = 1;
  EXPECT(silent(v4));

  Bytes v6 = packets::make({.version = 6}, check::octets(1400));
  Bytes group = v6;
  group[24] = 0xff;
  EXPECT(!silent(group));  // RFC 4443 §2.4 e.3
  std::fill(v6.begin() + 8, v6.begin() + 24, 0);
  EXPECT(silent(v6));
  v6[23] = 1;
  EXPECT(silent(v6));
  v6[8] = 0xff;
  EXPECT(silent(v6));
  for (size_t length = 1; length < 20; length++) EXPECT(silent(Bytes(v4.begin(), v4.begin() + static_cast<ptrdiff_t>(length))));
}

TEST("rate limit: allows the burst at once and the rate on average, and survives a long pause") {
  RateLimit limit(50, 100);
  const auto allowed = [&](uint64_t now, int tries) {
    int count = 0;
    for (int i = 0; i < tries; i++) count += limit.allow(now) ? 1 : 0;
    return count;
  };
  EXPECT(allowed(1000, 200) == 50);
  EXPECT(allowed(1005, 10) == 0);
  EXPECT(allowed(1010, 10) == 1);
  EXPECT(allowed(1210, 100) == 20);
  EXPECT(allowed(uint64_t{1} << 60, 1000) == 50);
}
