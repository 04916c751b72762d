#pragma once
// Explicit congestion notification across the tunnel, RFC 6040 in normal mode, and the differentiated services field.
#include <array>
#include <cstdint>

#include "bytes.hpp"
#include "checksum.hpp"

namespace tunwright {

inline constexpr uint8_t kEcnMask = 3;
enum Ecn : uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

/** The octet with DSCP and ECN of an IPv4 packet, or the traffic class of an IPv6 one. */
inline uint8_t traffic_class(const uint8_t* packet) {
  return (packet[0] >> 4) == 4 ? packet[1] : static_cast<uint8_t>(load16(packet) >> 4);
}

/**
 * What the outer header says: the ECN field is copied always (RFC 6040 §4.1: IKEv2 negotiates no less), the DSCP only if
 * asked, because it tells the path about the traffic inside.
 */
inline uint8_t outer_traffic_class(uint8_t inner, bool copy_dscp) {
  return copy_dscp ? inner : static_cast<uint8_t>(inner & kEcnMask);
}

/** The ECN field to forward, RFC 6040 figure 4; 255: drop, a router marked what said that nobody would react to it. */
inline constexpr uint8_t kEcnDrop = 255;
constexpr uint8_t decapsulated_ecn(uint8_t inner, uint8_t outer) {
  constexpr uint8_t kTable[4][4] = {
      //             outer: Not-ECT  ECT(1)   ECT(0)   CE
      /* inner Not-ECT */ {not_ect, not_ect, not_ect, kEcnDrop},
      /* inner ECT(1) */ {ect1, ect1, ect1, ce},
      /* inner ECT(0) */ {ect0, ect1, ect0, ce},
      /* inner CE */ {ce, ce, ce, ce},
  };
  return kTable[inner & kEcnMask][outer & kEcnMask];
}

/** Merges the outer header's ECN field into a whole IPv4 or IPv6 packet. False: the packet is to be dropped. */
inline bool decapsulate_ecn(uint8_t* packet, uint8_t outer) {
  const uint8_t inner = traffic_class(packet) & kEcnMask;
  const uint8_t ecn = decapsulated_ecn(inner, outer);
  if (ecn == kEcnDrop) return false;
  if (ecn == inner) return true;
  const uint16_t before = load16(packet);
  const bool ipv4 = (packet[0] >> 4) == 4;
  const int shift = ipv4 ? 0 : 4;
  const uint16_t after = static_cast<uint16_t>((before & ~(kEcnMask << shift)) | (ecn << shift));
  store16(packet, after);
  if (ipv4) checksum_replace(packet + 10, before, after);
  return true;
}

}  // namespace tunwright
