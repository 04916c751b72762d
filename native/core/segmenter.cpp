#include "segmenter.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "checksum.hpp"

namespace tunwright {

namespace {

constexpr size_t kTcpHeader = 20;
constexpr size_t kUdpHeader = 8;
constexpr size_t kTcpChecksum = 16;
constexpr size_t kUdpChecksum = 6;
constexpr uint8_t kFinPsh = 0x01 | 0x08;
constexpr uint8_t kCwr = 0x80;

/** A single packet whose checksum field holds the sum of the pseudo-header. */
bool complete_checksum(const VirtioHeader& header, uint8_t* packet, size_t length) {
  const size_t start = header.checksum_start;
  const size_t field = start + header.checksum_offset;
  if (field + 2 > length) return false;
  const uint64_t sum = checksum_add(packet + start, length - start);
  if (header.checksum_offset == kUdpChecksum)
    checksum_store_udp(packet + field, sum);
  else
    checksum_store(packet + field, sum);
  return true;
}

}  // namespace

bool Segmenter::start(const VirtioHeader& header, uint8_t* packet, size_t length) {
  packet_ = packet;
  length_ = length;
  position_ = 0;
  gso_size_ = 0;
  leaves_checksums_ = false;
  if (header.gso_type != VirtioHeader::kGsoNone) return start_segments(header);
  if ((header.flags & VirtioHeader::kNeedsChecksum) == 0) return true;
  return complete_checksum(header, packet, length);
}

bool Segmenter::start_segments(const VirtioHeader& header) {
  const uint8_t type = header.gso_type & static_cast<uint8_t>(~VirtioHeader::kGsoEcn);
  udp_ = type == VirtioHeader::kGsoUdp;
  if (!udp_ && type != VirtioHeader::kGsoTcp4 && type != VirtioHeader::kGsoTcp6) return false;
  const bool needs_checksum = (header.flags & VirtioHeader::kNeedsChecksum) != 0;
  const size_t l4_header = udp_ ? kUdpHeader : kTcpHeader;
  l4_offset_ = header.checksum_start;
  ipv4_ = (packet_[0] >> 4) == 4;
  const size_t ip_header = ipv4_ ? (packet_[0] & 0x0fu) * 4 : 40;
  const bool right_offset = ipv4_ ? l4_offset_ == ip_header && ip_header >= 20 : l4_offset_ >= ip_header;
  if (!needs_checksum || header.gso_size == 0 || !right_offset || l4_offset_ + l4_header > length_) return false;

  const uint8_t* l4 = packet_ + l4_offset_;
  header_length_ = l4_offset_ + (udp_ ? kUdpHeader : (l4[12] >> 4) * 4u);
  if (header_length_ < l4_offset_ + l4_header || header_length_ > kHeaderMax || header_length_ >= length_) return false;

  std::memcpy(headers_, packet_, header_length_);
  // The kernel left the pseudo-header's sum, made with the length of the whole, in the checksum field: taking that
  // length out leaves what is common to all segments, whatever the addresses and extension headers were.
  uint16_t field;
  std::memcpy(&field, l4 + (udp_ ? kUdpChecksum : kTcpChecksum), sizeof field);
  pseudo_sum_ = static_cast<uint64_t>(field) +
                static_cast<uint16_t>(~checksum_word(static_cast<uint16_t>(length_ - l4_offset_)));
  std::memset(headers_ + l4_offset_ + (udp_ ? kUdpChecksum : kTcpChecksum), 0, 2);
  if (ipv4_) {
    ipv4_id_ = load16(headers_ + 4);
    std::memset(headers_ + 2, 0, 4);
    std::memset(headers_ + 10, 0, 2);
    ipv4_sum_ = checksum_add(headers_, l4_offset_);
  }
  if (!udp_) {
    tcp_sequence_ = load32(l4 + 4);
    tcp_flags_ = l4[13];
  }
  gso_size_ = header.gso_size;
  position_ = header_length_;
  return true;
}

size_t Segmenter::largest() const {
  if (gso_size_ == 0) return length_;
  return header_length_ + std::min(gso_size_, length_ - header_length_);
}

size_t Segmenter::count() const {
  return gso_size_ == 0 ? 1 : (length_ - header_length_ + gso_size_ - 1) / gso_size_;
}

bool Segmenter::next(Packet& packet) {
  if (position_ >= length_) return false;
  if (gso_size_ == 0) {
    packet = {packet_, length_, nullptr};
    position_ = length_;
    return true;
  }
  const size_t payload = std::min(gso_size_, length_ - position_);
  uint8_t* at = packet_ + position_ - header_length_;
  write_headers(at, payload, position_ == header_length_, position_ + payload == length_);
  packet = {at, header_length_ + payload, leaves_checksums_ ? &late_ : nullptr};
  position_ += payload;
  return true;
}

void Segmenter::write_headers(uint8_t* at, size_t payload, bool first, bool last) {
  std::memcpy(at, headers_, header_length_);
  const size_t total = header_length_ + payload;
  const uint16_t l4_length = static_cast<uint16_t>(total - l4_offset_);
  if (ipv4_) {
    const uint16_t total_length = static_cast<uint16_t>(total);
    store16(at + 2, total_length);
    store16(at + 4, ipv4_id_);
    checksum_store(at + 10, ipv4_sum_ + checksum_word(total_length) + checksum_word(ipv4_id_));
    ipv4_id_++;
  } else {
    store16(at + 4, static_cast<uint16_t>(total - 40));
  }

  uint8_t* l4 = at + l4_offset_;
  if (udp_) {
    store16(l4 + 4, l4_length);
  } else {
    store32(l4 + 4, tcp_sequence_);
    tcp_sequence_ += static_cast<uint32_t>(payload);
    uint8_t flags = tcp_flags_;
    if (!last) flags &= static_cast<uint8_t>(~kFinPsh);
    if (!first) flags &= static_cast<uint8_t>(~kCwr);
    l4[13] = flags;
  }
  const size_t field = l4_offset_ + (udp_ ? kUdpChecksum : kTcpChecksum);
  const uint64_t pseudo = pseudo_sum_ + checksum_word(l4_length);
  if (leaves_checksums_) {
    // What comes before the TCP or UDP header is sealed, too, and must not count; with its checksum an IPv4 header does not.
    const uint64_t before = ipv4_ ? 0 : static_cast<uint16_t>(~checksum_fold(checksum_add(at, l4_offset_)));
    late_ = {field, pseudo + before, udp_};
  } else {
    const uint64_t sum = checksum_add(l4, l4_length, pseudo);
    udp_ ? checksum_store_udp(at + field, sum) : checksum_store(at + field, sum);
  }
}

}  // namespace tunwright
