#pragma once
#include <cstdint>
#include <vector>

namespace tunwright {

/**
 * Anti-replay state of one inbound SA, RFC 4303 §3.4.3, as the ring of 64-bit words of RFC 6479: advancing clears whole
 * words and never shifts. Check before the ICV, mark after it verified.
 * Not thread-safe: one thread owns an SA.
 */
class ReplayWindow {
 public:
  enum class Verdict : uint8_t { fresh, replayed, too_old };

  /** `size` in packets: a power of two, 64 to 65536. */
  explicit ReplayWindow(uint32_t size);

  Verdict check(uint64_t sequence) const;
  /** Only a number that is `fresh`. */
  void mark(uint64_t sequence);

  /** The 64-bit number an ESN packet most likely carries, from its low half (RFC 4303 appendix A2). */
  uint64_t infer_esn(uint32_t low) const;

  /** Highest number marked so far; 0 before the first. */
  uint64_t top() const { return top_; }
  uint32_t size() const { return size_; }
  /** Numbers up to the highest that have not been marked: lost, or still on their way. */
  uint64_t missing() const { return top_ - marked_; }
  /** Numbers that were marked after a higher one. */
  uint64_t reordered() const { return reordered_; }

  static bool valid_size(uint32_t size) { return size >= 64 && size <= 65536 && (size & (size - 1)) == 0; }

 private:
  uint32_t size_;
  uint64_t word_mask_;
  uint64_t top_ = 0;
  uint64_t marked_ = 0;
  uint64_t reordered_ = 0;
  // Twice the words of the window: the word being filled is never one that still answers for old numbers.
  std::vector<uint64_t> words_;
};

}  // namespace tunwright
