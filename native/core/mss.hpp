#pragma once
#include <cstddef>
#include <cstdint>

namespace tunwright {

enum class L4Checksum : uint8_t { complete, partial };

/**
 * Lowers the MSS option of a TCP SYN to what fits an inner MTU: mtu - 40 for IPv4, mtu - 60 for IPv6. Other packets are
 * left alone, and so is a SYN without the option (its default of 536 or 1220 fits). With `partial` the checksum field
 * holds the pseudo-header sum only and needs no change.
 */
void clamp_mss(uint8_t* packet, size_t length, size_t mtu, L4Checksum checksum);

}  // namespace tunwright
