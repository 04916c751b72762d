#include "ip_packet.hpp"

#include "bytes.hpp"
#include "checksum.hpp"

namespace tunwright {

namespace {

constexpr uint8_t kTcp = 6;
constexpr size_t kIpv4Header = 20;
constexpr size_t kIpv6Header = 40;
constexpr size_t kTcpHeader = 20;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNop = 1;
constexpr uint8_t kOptionMss = 2;

/** Offset of the TCP header of an unfragmented packet; 0 when there is none. IPv6 extension headers are not followed. */
size_t tcp_offset(const uint8_t* packet, size_t length) {
  if (length < kIpv4Header) return 0;
  if ((packet[0] >> 4) == 4) {
    const size_t header = (packet[0] & 0x0fu) * 4;
    const bool fragment = (load16(packet + 6) & 0x3fff) != 0;
    return packet[9] == kTcp && !fragment && header >= kIpv4Header ? header : 0;
  }
  return length >= kIpv6Header && packet[6] == kTcp ? kIpv6Header : 0;
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

void clamp_mss(uint8_t* packet, size_t length, size_t mtu, L4Checksum checksum) {
  const size_t offset = tcp_offset(packet, length);
  if (offset == 0 || length < offset + kTcpHeader || (packet[offset + 13] & kSyn) == 0) return;
  const size_t tcp_header = (packet[offset + 12] >> 4) * 4u;
  if (tcp_header < kTcpHeader || length < offset + tcp_header) return;
  const uint16_t limit = static_cast<uint16_t>(mtu - kTcpHeader - ((packet[0] >> 4) == 4 ? kIpv4Header : kIpv6Header));

  uint8_t* option = packet + offset + kTcpHeader;
  uint8_t* const end = packet + offset + tcp_header;
  while (option < end && *option != kOptionEnd) {
    if (*option == kOptionNop) {
      option++;
      continue;
    }
    if (end - option < 2 || option[1] < 2 || option[1] > end - option) return;
    if (*option == kOptionMss && option[1] == 4) {
      const uint16_t offered = load16(option + 2);
      if (offered <= limit) return;
      store16(option + 2, limit);
      if (checksum == L4Checksum::partial) return;
      // An option at an odd offset swaps its octets within the sum's 16-bit words.
      const bool odd = ((option + 2 - packet - static_cast<ptrdiff_t>(offset)) & 1) != 0;
      const auto word = [odd](uint16_t v) { return odd ? __builtin_bswap16(v) : v; };
      checksum_replace(packet + offset + 16, word(offered), word(limit));
      return;
    }
    option += option[1];
  }
}

}  // namespace tunwright
