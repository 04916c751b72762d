#pragma once
#include <atomic>
#include <cstdint>

namespace tunwright {

/** The sequence numbers of an outbound SA, RFC 4303 §3.3.3. Any thread takes; no number is given twice. */
class SequenceSpace {
 public:
  // The last number stays unused: neither a counter that wrapped nor one that is about to is worth a special case.
  explicit SequenceSpace(bool esn) : end_(esn ? UINT64_MAX : UINT32_MAX) {}

  /** The first of `count` consecutive numbers; 0: there are not that many left. */
  uint64_t take(uint64_t count) {
    uint64_t first = next_.load(std::memory_order_relaxed);
    do {
      if (end_ - first < count) return 0;
    } while (!next_.compare_exchange_weak(first, first + count, std::memory_order_relaxed));
    return first;
  }

  /** No number is left: the SA must be rekeyed. */
  bool exhausted() const { return next_.load(std::memory_order_relaxed) == end_; }
  /** Last number taken; 0 before the first. */
  uint64_t last() const { return next_.load(std::memory_order_relaxed) - 1; }
  /** Makes `sequence` the next number. Repeating a number breaks AES-GCM: for tests and the self-test only. */
  void set_next(uint64_t sequence) { next_.store(sequence, std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> next_{1};
  const uint64_t end_;  // first number that may not be used
};

}  // namespace tunwright
