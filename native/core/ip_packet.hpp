#pragma once
#include <cstddef>
#include <cstdint>

namespace tunwright {

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

enum class L4Checksum : uint8_t { complete, partial };

/**
 * Lowers the MSS option of a TCP SYN to what fits an inner MTU: mtu - 40 for IPv4, mtu - 60 for IPv6. Other packets are
 * left alone, and so is a SYN without the option (its default of 536 or 1220 fits). With `partial` the checksum field
 * holds the pseudo-header sum only and needs no change.
 */
void clamp_mss(uint8_t* packet, size_t length, size_t mtu, L4Checksum checksum);

}  // namespace tunwright
