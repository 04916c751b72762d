#include "ip_packet.hpp"

#include "bytes.hpp"

namespace tunwright {

namespace {

constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kDestination = 60;
constexpr int kExtensionsMax = 8;  // more than any sensible packet has

UpperLayer upper_layer_v6(const uint8_t* packet, size_t length) {
  if (length < kIpv6Header) return {};
  uint8_t protocol = packet[6];
  size_t offset = kIpv6Header;
  for (int i = 0; i < kExtensionsMax; i++) {
    if (protocol != kHopByHop && protocol != kRouting && protocol != kDestination && protocol != kFragment)
      return {protocol, offset};
    if (offset + 8 > length) return {};
    // RFC 6946: a fragment header without more fragments at offset 0 is no fragmentation.
    if (protocol == kFragment && (load16(packet + offset + 2) & static_cast<uint16_t>(~6u)) != 0) return {};
    const size_t size = protocol == kFragment ? 8 : (packet[offset + 1] + 1u) * 8;
    protocol = packet[offset];
    offset += size;
    if (offset > length) return {};
  }
  return {};
}

}  // namespace

size_t ip_length(const uint8_t* packet, size_t available, uint8_t next_header) {
  if (available < kIpv4Header || ip_next_header(packet) != next_header) return 0;
  if (next_header == 4) {
    const size_t header = (packet[0] & 0x0fu) * 4;
    const size_t total = load16(packet + 2);
    return header >= kIpv4Header && total >= header && total <= available ? total : 0;
  }
  if (available < kIpv6Header) return 0;
  const size_t total = kIpv6Header + load16(packet + 4);
  return total <= available ? total : 0;
}

UpperLayer upper_layer(const uint8_t* packet, size_t length) {
  if ((packet[0] >> 4) == 6) return upper_layer_v6(packet, length);
  if (length < kIpv4Header) return {};
  const size_t header = (packet[0] & 0x0fu) * 4;
  const bool fragment = (load16(packet + 6) & 0x3fff) != 0;
  if (fragment || header < kIpv4Header || header > length) return {};
  return {packet[9], header};
}

}  // namespace tunwright
