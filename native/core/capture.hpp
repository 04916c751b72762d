#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace tunwright {

/** What is known of a captured packet besides its octets. */
struct CaptureMark {
  uint64_t time_ns = 0;      // since 1970
  uint32_t length = 0;       // octets of the whole packet, of which a ring may hold fewer
  bool sent = false;         // by us; false: received
  uint16_t local_port = 0;   // of the outer UDP header; 0: there is none
  uint16_t remote_port = 0;
  uint8_t remote_length = 0; // octets of `remote`: 4 or 16 outside the tunnel, 0 inside
  uint8_t remote[16] = {};
};

/** The last packets that passed somewhere, in memory of a fixed size. One thread writes; others read when it no longer does. */
class CaptureRing {
 public:
  /** `snap_length`: octets kept of a packet at most. */
  CaptureRing(size_t packets, size_t snap_length)
      : snap_length_(snap_length), marks_(packets), octets_(packets * snap_length) {}

  /** `head` and `octets` together are the packet. */
  void record(CaptureMark mark, std::span<const uint8_t> head, std::span<const uint8_t> octets) {
    const size_t slot = count_++ % marks_.size();
    mark.length = static_cast<uint32_t>(head.size() + octets.size());
    marks_[slot] = mark;
    uint8_t* const at = &octets_[slot * snap_length_];
    const size_t first = std::min(head.size(), snap_length_);
    std::copy_n(head.data(), first, at);
    std::copy_n(octets.data(), std::min(octets.size(), snap_length_ - first), at + first);
  }

  /** Calls `each(mark, octets)` for what it holds, oldest first. */
  template <typename Each>
  void for_each(Each each) const {
    const size_t held = std::min<size_t>(count_, marks_.size());
    for (size_t i = count_ - held; i < count_; i++) {
      const size_t slot = i % marks_.size();
      const CaptureMark& mark = marks_[slot];
      each(mark, std::span(&octets_[slot * snap_length_], std::min<size_t>(mark.length, snap_length_)));
    }
  }

 private:
  const size_t snap_length_;
  std::vector<CaptureMark> marks_;
  std::vector<uint8_t> octets_;
  size_t count_ = 0;  // packets so far
};

enum class CaptureSide : uint8_t { inner, outer };

/** A capture that is going on: a ring for each thread that sees packets. */
class Capture {
 public:
  Capture(CaptureSide side, size_t threads, size_t packets, size_t snap_length)
      : side_(side), rings_(threads, CaptureRing(packets, snap_length)) {}

  /** The ring of a thread, if it is this side that is captured. */
  CaptureRing* ring(CaptureSide side, size_t thread) { return side == side_ ? &rings_[thread] : nullptr; }
  const std::vector<CaptureRing>& rings() const { return rings_; }

 private:
  const CaptureSide side_;
  std::vector<CaptureRing> rings_;
};

/** Where a thread records packets while there is a capture. */
struct CaptureTaps {
  CaptureRing* inner = nullptr;
  CaptureRing* outer = nullptr;

  CaptureTaps() = default;
  CaptureTaps(Capture* capture, size_t thread) {
    if (capture == nullptr) return;
    inner = capture->ring(CaptureSide::inner, thread);
    outer = capture->ring(CaptureSide::outer, thread);
  }
};

}  // namespace tunwright
