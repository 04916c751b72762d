#pragma once
// Inner packets and the checksum arithmetic of the RFCs, written the slow and obvious way.
#include <cstring>
#include <vector>

#include "../core/bytes.hpp"
#include "check.hpp"

namespace packets {

using Bytes = std::vector<uint8_t>;
using tunwright::load16;
using tunwright::load32;
using tunwright::store16;
using tunwright::store32;

constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;

/** RFC 1071, sixteen bits at a time. */
inline uint16_t naive_sum(const uint8_t* data, size_t length, uint32_t sum = 0) {
  for (size_t i = 0; i < length; i += 2) {
    sum += static_cast<uint32_t>(data[i] << 8 | (i + 1 < length ? data[i + 1] : 0));
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

inline size_t l4_offset(const Bytes& packet) { return packet[0] >> 4 == 4 ? (packet[0] & 15u) * 4 : 40; }
inline uint8_t protocol(const Bytes& packet) { return packet[0] >> 4 == 4 ? packet[9] : packet[6]; }

/** Sum of the pseudo-header for an L4 length. */
inline uint16_t pseudo_sum(const Bytes& packet, size_t l4_length) {
  const bool v4 = packet[0] >> 4 == 4;
  const uint32_t start = protocol(packet) + static_cast<uint32_t>(l4_length);
  return v4 ? naive_sum(packet.data() + 12, 8, start) : naive_sum(packet.data() + 8, 32, start);
}

/** Whether every checksum in the packet is right (a UDP checksum of 0 over IPv4 counts as absent). */
inline bool checksums_hold(const Bytes& packet) {
  const size_t l4 = l4_offset(packet);
  if (packet[0] >> 4 == 4 && naive_sum(packet.data(), l4) != 0xffff) return false;
  if (protocol(packet) == kUdp && load16(&packet[l4 + 6]) == 0) return packet[0] >> 4 == 4;
  const size_t length = packet.size() - l4;
  return naive_sum(packet.data() + l4, length, pseudo_sum(packet, length)) == 0xffff;
}

inline void fix_checksums(Bytes& packet) {
  const size_t l4 = l4_offset(packet);
  if (packet[0] >> 4 == 4) {
    store16(&packet[10], 0);
    store16(&packet[10], static_cast<uint16_t>(~naive_sum(packet.data(), l4)));
  }
  const size_t field = l4 + (protocol(packet) == kTcp ? 16 : 6);
  store16(&packet[field], 0);
  const size_t length = packet.size() - l4;
  uint16_t sum = static_cast<uint16_t>(~naive_sum(packet.data() + l4, length, pseudo_sum(packet, length)));
  if (sum == 0 && protocol(packet) == kUdp) sum = 0xffff;
  store16(&packet[field], sum);
}

struct Shape {
  int version = 4;
  uint8_t protocol = kTcp;
  size_t options = 0;  // octets of TCP options, a multiple of four
  uint8_t flags = 0x10;
  uint32_t sequence = 1000;
  uint16_t source_port = 40000;
};

/** A whole packet with right checksums. */
inline Bytes make(const Shape& shape, const Bytes& payload) {
  const size_t ip = shape.version == 4 ? 20 : 40;
  const size_t l4 = shape.protocol == kTcp ? 20 + shape.options : 8;
  Bytes packet(ip + l4, 0);
  packet.insert(packet.end(), payload.begin(), payload.end());
  if (shape.version == 4) {
    packet[0] = 0x45;
    store16(&packet[2], static_cast<uint16_t>(packet.size()));
    store16(&packet[4], 0x1234);
    packet[6] = 0x40;
    packet[8] = 64;
    packet[9] = shape.protocol;
    store32(&packet[12], 0x0a000001);
    store32(&packet[16], 0x0a000002);
  } else {
    packet[0] = 0x60;
    store16(&packet[4], static_cast<uint16_t>(packet.size() - 40));
    packet[6] = shape.protocol;
    packet[7] = 64;
    for (size_t i = 8; i < 40; i++) packet[i] = static_cast<uint8_t>(i * 7);
  }
  uint8_t* at = &packet[ip];
  store16(at, shape.source_port);
  store16(at + 2, 443);
  if (shape.protocol == kTcp) {
    store32(at + 4, shape.sequence);
    store32(at + 8, 77);
    at[12] = static_cast<uint8_t>(l4 / 4 << 4);
    at[13] = shape.flags;
    store16(at + 14, 5000);
    for (size_t i = 20; i < l4; i++) at[i] = 1;  // NOP
  } else {
    store16(at + 4, static_cast<uint16_t>(8 + payload.size()));
  }
  fix_checksums(packet);
  return packet;
}

}  // namespace packets
