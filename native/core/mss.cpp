#include "mss.hpp"

#include "bytes.hpp"
#include "checksum.hpp"
#include "ip_packet.hpp"

namespace tunwright {

namespace {

constexpr size_t kTcpHeader = 20;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNop = 1;
constexpr uint8_t kOptionMss = 2;

/** `at` lies within the segment at `tcp`, whose checksum stays right. */
void lower(uint8_t* tcp, uint8_t* at, uint16_t limit, L4Checksum checksum) {
  const uint16_t offered = load16(at);
  if (offered <= limit) return;
  store16(at, limit);
  if (checksum == L4Checksum::partial) return;
  // At an odd offset the octets change places within the sum's 16-bit words.
  const bool odd = ((at - tcp) & 1) != 0;
  const auto word = [odd](uint16_t v) { return odd ? __builtin_bswap16(v) : v; };
  checksum_replace(tcp + 16, word(offered), word(limit));
}

}  // namespace

void clamp_mss(uint8_t* packet, size_t length, size_t mtu, L4Checksum checksum) {
  const UpperLayer upper = upper_layer(packet, length);
  if (upper.protocol != kTcp || upper.offset + kTcpHeader > length) return;
  uint8_t* const tcp = packet + upper.offset;
  const size_t header = (tcp[12] >> 4) * 4u;
  if ((tcp[13] & kSyn) == 0 || header < kTcpHeader || upper.offset + header > length) return;
  const size_t headers = kTcpHeader + ((packet[0] >> 4) == 4 ? kIpv4Header : kIpv6Header);
  const uint16_t limit = static_cast<uint16_t>(mtu > headers ? mtu - headers : 0);

  uint8_t* option = tcp + kTcpHeader;
  uint8_t* const end = tcp + header;
  while (option < end && *option != kOptionEnd) {
    if (*option == kOptionNop) {
      option++;
      continue;
    }
    if (end - option < 2 || option[1] < 2 || option[1] > end - option) return;
    if (*option == kOptionMss && option[1] == 4) lower(tcp, option + 2, limit, checksum);
    option += option[1];
  }
}

}  // namespace tunwright
