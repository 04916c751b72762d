#pragma once
#include <algorithm>
#include <cstdint>

namespace tunwright {

/** A token bucket: `burst` at once, `per_second` on average. */
class RateLimit {
 public:
  RateLimit(uint32_t burst, uint32_t per_second)
      : capacity_(uint64_t{burst} * 1000), per_ms_(per_second), tokens_(capacity_) {}

  /** Whether one more is allowed now; `now_ms` never goes back. */
  bool allow(uint64_t now_ms) {
    const uint64_t elapsed = std::min<uint64_t>(now_ms - last_ms_, 1'000'000);
    tokens_ = std::min(capacity_, tokens_ + elapsed * per_ms_);
    last_ms_ = now_ms;
    if (tokens_ < 1000) return false;
    tokens_ -= 1000;
    return true;
  }

 private:
  const uint64_t capacity_;  // in thousandths
  const uint64_t per_ms_;
  uint64_t tokens_;
  uint64_t last_ms_ = 0;
};

}  // namespace tunwright
