#pragma once
#include <cstddef>
#include <cstdint>

namespace tunwright {

inline constexpr size_t kIpv4Header = 20;
inline constexpr size_t kIpv6Header = 40;
inline constexpr uint8_t kTcp = 6;
inline constexpr uint8_t kUdp = 17;
inline constexpr uint8_t kIcmp = 1;
inline constexpr uint8_t kIcmpv6 = 58;

/** IPv4 or IPv6 by the version nibble; 0 for anything else. `length` > 0. */
inline uint8_t ip_next_header(const uint8_t* packet) {
  const uint8_t version = packet[0] >> 4;
  return version == 4 ? 4 : version == 6 ? 41 : 0;
}

/**
 * Length of the IP packet at `packet` according to its own header, which is less than `available` when something pads
 * it (RFC 4303 §2.7 TFC padding). 0 when the header is malformed, longer than what is there, or not of the IP version
 * that the ESP next header `next_header` (4 or 41) announces.
 */
size_t ip_length(const uint8_t* packet, size_t available, uint8_t next_header);

struct UpperLayer {
  static constexpr uint8_t kNone = 255;

  uint8_t protocol = kNone;
  size_t offset = 0;
};
/**
 * Where the transport header of a whole, unfragmented packet is, behind IPv4 options or IPv6 extension headers; none in a
 * fragment, behind what encrypts or is unknown, or when the packet is cut short. `packet` starts with a version nibble.
 */
UpperLayer upper_layer(const uint8_t* packet, size_t length);

}  // namespace tunwright
