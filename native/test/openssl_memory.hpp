#pragma once
// Watches what OpenSSL gives back to the heap: a key in a freed block was not zeroised.
#include <openssl/crypto.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace openssl_memory {

/** Octets that no freed block may contain; empty: nothing is watched. */
inline std::vector<uint8_t>& secret() {
  static std::vector<uint8_t> value;
  return value;
}
/** Blocks with the secret in them that were freed. */
inline size_t& leaks() {
  static size_t count = 0;
  return count;
}

inline constexpr size_t kPrefix = alignof(std::max_align_t);  // holds the size, so that free knows what to search

inline void* allocate(size_t size, const char*, int) {
  auto* block = static_cast<uint8_t*>(std::malloc(kPrefix + size));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &size, sizeof size);
  return block + kPrefix;
}

inline void release(void* pointer, const char*, int) {
  if (pointer == nullptr) return;
  uint8_t* data = static_cast<uint8_t*>(pointer);
  size_t size = 0;
  std::memcpy(&size, data - kPrefix, sizeof size);
  const auto& wanted = secret();
  if (!wanted.empty() && std::search(data, data + size, wanted.begin(), wanted.end()) != data + size) leaks()++;
  std::free(data - kPrefix);
}

inline void* resize(void* pointer, size_t size, const char* file, int line) {
  if (pointer == nullptr) return allocate(size, file, line);
  size_t before = 0;
  std::memcpy(&before, static_cast<uint8_t*>(pointer) - kPrefix, sizeof before);
  void* moved = allocate(size, file, line);
  if (moved != nullptr) std::memcpy(moved, pointer, std::min(size, before));
  release(pointer, file, line);
  return moved;
}

/** Must come before anything else uses OpenSSL; false when something did. */
inline bool install() { return CRYPTO_set_mem_functions(allocate, resize, release) == 1; }

}  // namespace openssl_memory
