#include "replay_window.hpp"

#include <algorithm>

namespace tunwright {

ReplayWindow::ReplayWindow(uint32_t size) : size_(size), word_mask_(size / 32 - 1), words_(size / 32, 0) {}

ReplayWindow::Verdict ReplayWindow::check(uint64_t sequence) const {
  if (sequence == 0) return Verdict::too_old;  // the first packet of an SA is number 1
  if (sequence > top_) return Verdict::fresh;
  if (top_ - sequence >= size_) return Verdict::too_old;
  const bool seen = (words_[(sequence >> 6) & word_mask_] >> (sequence & 63)) & 1;
  return seen ? Verdict::replayed : Verdict::fresh;
}

void ReplayWindow::mark(uint64_t sequence) {
  if (sequence > top_) {
    const uint64_t current = top_ >> 6;
    const uint64_t cleared = std::min<uint64_t>((sequence >> 6) - current, words_.size());
    for (uint64_t i = 1; i <= cleared; i++) words_[(current + i) & word_mask_] = 0;
    top_ = sequence;
  } else if (top_ - sequence >= size_) {
    return;
  } else {
    reordered_++;
  }
  marked_++;
  words_[(sequence >> 6) & word_mask_] |= uint64_t{1} << (sequence & 63);
}

uint64_t ReplayWindow::infer_esn(uint32_t low) const {
  const uint64_t top_high = top_ >> 32;
  const uint32_t top_low = static_cast<uint32_t>(top_);
  const uint32_t bottom = top_low - size_ + 1;  // modulo 2^32
  uint64_t high = top_high;
  if (top_low >= size_ - 1) {
    if (low < bottom) high = top_high + 1;
  } else if (low >= bottom && top_high > 0) {
    high = top_high - 1;
  }
  return (high << 32) | low;
}

}  // namespace tunwright
