#include "../core/mtu.hpp"

#include "check.hpp"

using namespace tunwright;

TEST("MTU: is the largest inner packet whose ESP packet fits the path, for every path and encapsulation") {
  for (const IpVersion outer : {IpVersion::v4, IpVersion::v6}) {
    for (const Encapsulation encapsulation : {Encapsulation::udp, Encapsulation::esp}) {
      const size_t around = (outer == IpVersion::v4 ? 20u : 40u) + (encapsulation == Encapsulation::udp ? 8u : 0u);
      for (size_t path = 200; path < 9300; path++) {
        const size_t inner = inner_mtu(path, outer, encapsulation);
        EXPECT(around + esp_size(inner) <= path);
        EXPECT(around + esp_size(inner + 1) > path);
      }
    }
  }
}

TEST("MTU: has the known values for Ethernet and PPPoE, and never falls below what IPv4 demands of a link") {
  static_assert(inner_mtu(1500, IpVersion::v4, Encapsulation::udp) == 1438);
  static_assert(inner_mtu(1500, IpVersion::v4, Encapsulation::esp) == 1446);
  static_assert(inner_mtu(1492, IpVersion::v4, Encapsulation::udp) == 1430);
  static_assert(inner_mtu(1500, IpVersion::v6, Encapsulation::udp) == 1418);
  for (size_t path = 0; path < 140; path++) EXPECT(inner_mtu(path, IpVersion::v6, Encapsulation::udp) >= 68);
}
