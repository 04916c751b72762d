#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "system_error.hpp"

namespace tunwright {

/** One block of memory for all packet buffers of a tunnel, on huge pages where the kernel grants them. */
class Arena {
 public:
  explicit Arena(size_t size) : size_(size) {
    void* block = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) throw SystemError(errno, "mmap");
    ::madvise(block, size_, MADV_HUGEPAGE);
    // Packets of other people do not belong into a core dump.
    ::madvise(block, size_, MADV_DONTDUMP);
    block_ = static_cast<uint8_t*>(block);
  }
  ~Arena() { ::munmap(block_, size_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /**
   * The next `size` octets, starting on a cache line. Consecutive buffers are an odd number of lines apart, or buffers
   * of 64 kB would all compete for the same cache sets. Throws ENOMEM when the arena was made too small: our bug.
   */
  uint8_t* take(size_t size) {
    const size_t lines = ((size + kLine - 1) / kLine) | 1;
    if (lines * kLine > size_ - used_) throw SystemError(ENOMEM, "packet buffers");
    uint8_t* at = block_ + used_;
    used_ += lines * kLine;
    return at;
  }

 private:
  static constexpr size_t kLine = 64;
  uint8_t* block_;
  size_t size_;
  size_t used_ = 0;
};

}  // namespace tunwright
