#include "fragmenter.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "checksum.hpp"
#include "ip_packet.hpp"

namespace tunwright {

namespace {

constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kOffset = 0x1fff;
constexpr size_t kDatagramMax = 65535;
constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNop = 1;
constexpr uint8_t kCopied = 0x80;

}  // namespace

bool may_fragment(const uint8_t* packet) {
  return (packet[0] >> 4) == 4 && (load16(packet + 6) & kDontFragment) == 0;
}

bool Fragmenter::start(uint8_t* packet, size_t length, size_t mtu) {
  header_length_ = (packet[0] & 0x0fu) * 4;
  const uint16_t field = load16(packet + 6);
  offset_ = (field & kOffset) * 8u;
  if (header_length_ < kIpv4Header || header_length_ >= length || mtu < header_length_ + 8) return false;
  if (offset_ + length > kDatagramMax) return false;
  packet_ = packet;
  length_ = length;
  mtu_ = mtu;
  position_ = header_length_;
  more_ = (field & kMoreFragments) != 0;
  std::memcpy(header_, packet, header_length_);
  return true;
}

bool Fragmenter::next(Segmenter::Packet& fragment) {
  if (position_ >= length_) return false;
  const size_t room = mtu_ - header_length_;
  const size_t left = length_ - position_;
  const bool last = left <= room;
  const size_t payload = last ? left : room & ~size_t{7};

  uint8_t* at = packet_ + position_ - header_length_;
  std::memcpy(at, header_, header_length_);
  store16(at + 2, static_cast<uint16_t>(header_length_ + payload));
  store16(at + 6, static_cast<uint16_t>(offset_ / 8 | (last && !more_ ? 0 : kMoreFragments)));
  std::memset(at + 10, 0, 2);
  checksum_store(at + 10, checksum_add(at, header_length_));
  fragment = {at, header_length_ + payload};

  if (position_ + payload < length_) keep_copied_options(at);
  position_ += payload;
  offset_ += payload;
  return true;
}

/** The header of all fragments but the first; `first` is the header before. */
void Fragmenter::keep_copied_options(const uint8_t* first) {
  const size_t end = (first[0] & 0x0fu) * 4;
  size_t kept = kIpv4Header;
  for (size_t at = kIpv4Header; at < end && first[at] != kOptionEnd;) {
    const size_t size = first[at] == kOptionNop ? 1 : at + 1 < end ? first[at + 1] : 0;
    const bool malformed = size == 0 || (size == 1 && first[at] != kOptionNop) || at + size > end;
    if (malformed) break;
    if ((first[at] & kCopied) != 0) {
      std::memcpy(header_ + kept, first + at, size);
      kept += size;
    }
    at += size;
  }
  header_length_ = (kept + 3) & ~size_t{3};
  std::memset(header_ + kept, kOptionEnd, header_length_ - kept);
  header_[0] = static_cast<uint8_t>(0x40 | header_length_ / 4);
}

}  // namespace tunwright
