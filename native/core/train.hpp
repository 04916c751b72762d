#pragma once
#include <cstddef>
#include <cstdint>

namespace tunwright {

/**
 * ESP packets back to back in one buffer, as one UDP_SEGMENT message sends them: all of one size but the last, which may
 * be shorter and ends the train. At most 64 packets and 65,507 octets (what one UDP datagram over IPv4 may hold).
 */
class Train {
 public:
  static constexpr size_t kCapacity = 65507;
  static constexpr size_t kMaxPackets = 64;

  explicit Train(uint8_t* buffer = nullptr) : buffer_(buffer) {}

  /** Whether a packet of `size` octets can join. */
  bool accepts(size_t size) const {
    if (packets_ == 0) return size <= kCapacity;
    return !closed_ && size <= segment_ && packets_ < kMaxPackets && length_ + size <= kCapacity;
  }
  /** Where the next packet goes. */
  uint8_t* tail() const { return buffer_ + length_; }
  void append(size_t size) {
    if (packets_ == 0) segment_ = size;
    closed_ = size < segment_;
    length_ += size;
    packets_++;
  }
  void clear() {
    length_ = segment_ = packets_ = 0;
    closed_ = false;
  }

  uint8_t* data() const { return buffer_; }
  size_t length() const { return length_; }
  /** Size of all packets but perhaps the last. */
  size_t segment() const { return segment_; }
  size_t packets() const { return packets_; }

 private:
  uint8_t* buffer_;
  size_t length_ = 0;
  size_t segment_ = 0;
  size_t packets_ = 0;
  bool closed_ = false;
};

}  // namespace tunwright
