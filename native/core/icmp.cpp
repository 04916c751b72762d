#include "icmp.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "checksum.hpp"
#include "ip_packet.hpp"

namespace tunwright {

namespace {

constexpr size_t kIcmpHeader = 8;
constexpr size_t kIpv4ErrorMax = 576 - kIpv4Header;
constexpr uint8_t kUnreachable = 3;
constexpr uint8_t kFragmentationNeeded = 4;
constexpr uint8_t kPacketTooBig = 2;
constexpr uint8_t kErrorEnd = 128;  // ICMPv6 errors have smaller types
constexpr uint8_t kRedirect = 137;

/** ICMP types that ask or answer; every other one is an error or may be one. */
bool is_query(uint8_t type) {
  return type == 0 || type == 8 || type == 9 || type == 10 || (type >= 13 && type <= 18);
}

/** 0.0.0.0/8, 127.0.0.0/8, multicast and everything above: no single host sends from there. */
bool unicast_v4(const uint8_t* address) { return address[0] != 0 && address[0] != 127 && address[0] < 224; }

bool may_answer_v4(const uint8_t* packet, size_t length) {
  const size_t header = (packet[0] & 0x0fu) * 4;
  if (header < kIpv4Header || header >= length) return false;
  const bool first = (load16(packet + 6) & 0x1fff) == 0;
  if (!first || !unicast_v4(packet + 12) || packet[16] >= 224) return false;
  return packet[9] != kIcmp || is_query(packet[header]);
}

/** Unlike other errors this one answers multicast too (RFC 4443 §2.4 e.3), as path MTU discovery needs it. */
bool may_answer_v6(const uint8_t* packet, size_t length) {
  const uint8_t* source = packet + 8;
  const bool none = std::all_of(source, source + 15, [](uint8_t octet) { return octet == 0; }) && source[15] <= 1;
  if (none || source[0] == 0xff) return false;
  const UpperLayer upper = upper_layer(packet, length);
  if (upper.protocol != kIcmpv6) return true;
  return upper.offset < length && packet[upper.offset] >= kErrorEnd && packet[upper.offset] != kRedirect;
}

}  // namespace

void packet_too_big(const uint8_t* packet, size_t length, size_t mtu, IcmpError& error) {
  error.length = 0;
  const bool ipv4 = (packet[0] >> 4) == 4;
  if (length < (ipv4 ? kIpv4Header : kIpv6Header)) return;
  if (!(ipv4 ? may_answer_v4(packet, length) : may_answer_v6(packet, length))) return;

  error.to = ipv4 ? std::span(packet + 12, 4) : std::span(packet + 8, 16);
  const size_t quoted = std::min(length, (ipv4 ? kIpv4ErrorMax : IcmpError::kMax) - kIcmpHeader);
  uint8_t* m = error.message;
  std::memset(m, 0, kIcmpHeader);
  std::memcpy(m + kIcmpHeader, packet, quoted);
  error.length = kIcmpHeader + quoted;
  if (!ipv4) {
    m[0] = kPacketTooBig;
    store32(m + 4, static_cast<uint32_t>(mtu));
    return;  // the kernel adds the checksum: it alone knows the source address
  }
  m[0] = kUnreachable;
  m[1] = kFragmentationNeeded;
  store16(m + 6, static_cast<uint16_t>(std::min<size_t>(mtu, UINT16_MAX)));
  checksum_store(m + 2, checksum_add(m, error.length));
}

}  // namespace tunwright
