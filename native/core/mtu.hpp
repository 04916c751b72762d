#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "esp.hpp"

namespace tunwright {

/** How ESP travels: in UDP on port 4500 (RFC 3948) or right on IP (protocol 50). */
enum class Encapsulation : uint8_t { udp, esp };
enum class IpVersion : uint8_t { v4, v6 };

inline constexpr size_t kIpv4MtuMin = 68;  // RFC 791: every link passes this much

/**
 * Octets of the largest inner packet whose ESP packet fits a path of `path_mtu` octets: what is left of it after the
 * outer IP header, the UDP header, SPI, sequence number, IV and ICV is padded to whole 4-octet words that end with pad
 * length and next header. 1,438 for UDP over IPv4 on Ethernet.
 */
constexpr size_t inner_mtu(size_t path_mtu, IpVersion outer, Encapsulation encapsulation) {
  const size_t around = (outer == IpVersion::v4 ? 20 : 40) + (encapsulation == Encapsulation::udp ? 8 : 0) + kEspHeader + AesGcm::kTag;
  const size_t words = path_mtu > around ? (path_mtu - around) & ~size_t{3} : 0;
  return std::max(words, kIpv4MtuMin + 2) - 2;
}

}  // namespace tunwright
