#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tunwright {

/**
 * ESP packets back to back in one buffer: at most 64 packets and 65,507 octets (what one UDP datagram over IPv4 may
 * hold), all for one outer traffic class. A uniform train leaves as one UDP_SEGMENT message: all packets have one size but
 * the last, which may be shorter and ends the train. Where the kernel cannot segment, packets have any size and leave one
 * by one from the front.
 */
class Train {
 public:
  static constexpr size_t kCapacity = 65507;
  static constexpr size_t kMaxPackets = 64;

  explicit Train(uint8_t* buffer = nullptr) : buffer_(buffer) {}

  /** Whether a packet of `size` octets can join, and the train is then still uniform if it is to be. */
  bool accepts(size_t size, uint8_t traffic_class, bool uniform) const {
    if (count_ == 0) return size <= kCapacity;
    if (traffic_class != traffic_class_ || (uniform && (ended_ || size > ends_[0]))) return false;
    return count_ < kMaxPackets && ends_[count_ - 1] + size <= kCapacity;
  }
  /** Where the next packet goes. */
  uint8_t* tail() const { return buffer_ + end(count_); }
  void append(size_t size, uint8_t traffic_class) {
    traffic_class_ = traffic_class;
    ends_[count_] = static_cast<uint32_t>(end(count_) + size);
    ended_ = ended_ || size < ends_[0];
    count_++;
  }
  /** The first `count` packets, fewer than there are, have left. */
  void advance(size_t count) { first_ += count; }
  void clear() {
    first_ = count_ = 0;
    ended_ = false;
  }

  /** DSCP and ECN of the outer headers. */
  uint8_t traffic_class() const { return traffic_class_; }
  /** Packets that have not left. */
  size_t packets() const { return count_ - first_; }
  /** Those octets. */
  std::span<uint8_t> octets() const { return {buffer_ + end(first_), buffer_ + end(count_)}; }
  /** The packet at `index` of them. */
  std::span<uint8_t> packet(size_t index) const {
    return {buffer_ + end(first_ + index), buffer_ + end(first_ + index + 1)};
  }

 private:
  /** Where packet `index - 1` ends. */
  size_t end(size_t index) const { return index == 0 ? 0 : ends_[index - 1]; }

  uint8_t* buffer_;
  size_t first_ = 0;
  size_t count_ = 0;
  bool ended_ = false;  // a shorter packet joined
  uint8_t traffic_class_ = 0;
  std::array<uint32_t, kMaxPackets> ends_;
};

}  // namespace tunwright
