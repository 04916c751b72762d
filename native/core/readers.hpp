#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tunwright {

/**
 * Where the threads that read shared objects without locks are known to hold none of them. A writer unlinks an object and
 * calls mark(); each reader calls pass() at the top of its loop. When all have passed the mark, nobody holds the object.
 */
class Readers {
 public:
  explicit Readers(size_t count) : passed_(count) {}

  /** A point in time after everything the caller has unlinked. Any thread. */
  uint64_t mark() { return now_.fetch_add(1, std::memory_order_acq_rel) + 1; }

  /** The reader holds nothing; true when there has been a mark since the last time. */
  bool pass(size_t reader) {
    const uint64_t now = now_.load(std::memory_order_acquire);
    if (passed_[reader].load(std::memory_order_relaxed) == now) return false;
    passed_[reader].store(now, std::memory_order_release);
    return true;
  }
  /** The reader never holds anything again. */
  void leave(size_t reader) { passed_[reader].store(UINT64_MAX, std::memory_order_release); }

  bool have_passed(uint64_t mark) const {
    for (const auto& passed : passed_) {
      if (passed.load(std::memory_order_acquire) < mark) return false;
    }
    return true;
  }

 private:
  std::atomic<uint64_t> now_{0};
  std::vector<std::atomic<uint64_t>> passed_;
};

}  // namespace tunwright
