#pragma once
#include <algorithm>
#include <cstdint>

namespace tunwright {

/**
 * How long a thread without work looks for more before it sleeps: waking up costs more than the wait when packets come
 * soon. The window opens when a sleep turns out shorter than the limit, and closes when looking for so long was in vain.
 * Microseconds; a limit of 0: never.
 */
class BusyPoll {
 public:
  explicit BusyPoll(uint64_t limit_us) : limit_us_(limit_us) {}

  bool off() const { return limit_us_ == 0; }
  uint64_t window_us() const { return window_us_; }

  /** No work for `idle_us`, polling and sleeping together; then there was some. */
  void waited(uint64_t idle_us) {
    if (idle_us <= window_us_) return;
    window_us_ = idle_us > limit_us_ ? 0 : std::min(limit_us_, std::max(kFirst, window_us_ * 2));
  }

 private:
  static constexpr uint64_t kFirst = 10;
  const uint64_t limit_us_;
  uint64_t window_us_ = 0;
};

}  // namespace tunwright
