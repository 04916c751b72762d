#pragma once
// The Internet checksum, RFC 1071. Sums are kept unfolded in the machine's byte order: a word sum is the same in either
// order up to a swap of the result, so nothing is swapped until the end.
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tunwright {

/** One's complement sum of `length` octets as if they started on an even offset; not folded, not complemented. */
uint64_t checksum_add(const uint8_t* data, size_t length, uint64_t sum = 0);

/** `a + b` with end-around carry, so that sums never overflow. */
inline uint64_t carry_add(uint64_t a, uint64_t b) {
  const uint64_t sum = a + b;
  return sum + (sum < a ? 1 : 0);
}

/** Folds a sum to 16 bits in machine order: ready for memcpy into a header. */
inline uint16_t checksum_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

/** A 16-bit field as it contributes to a sum. */
inline uint64_t checksum_word(uint16_t host_value) { return __builtin_bswap16(host_value); }

/** Writes the complement of a folded sum. */
inline void checksum_store(uint8_t* at, uint64_t sum) {
  const uint16_t value = static_cast<uint16_t>(~checksum_fold(sum));
  std::memcpy(at, &value, sizeof value);
}

/** The same for UDP, where a computed 0 is sent as 0xffff because 0 means "no checksum" (RFC 768). */
inline void checksum_store_udp(uint8_t* at, uint64_t sum) {
  uint16_t value = static_cast<uint16_t>(~checksum_fold(sum));
  if (value == 0) value = 0xffff;
  std::memcpy(at, &value, sizeof value);
}

/** Adapts the checksum at `at` to a 16-bit field changing from `before` to `after`, RFC 1624 equation 3. */
inline void checksum_replace(uint8_t* at, uint16_t before, uint16_t after) {
  uint16_t old_checksum;
  std::memcpy(&old_checksum, at, sizeof old_checksum);
  checksum_store(at, static_cast<uint64_t>(static_cast<uint16_t>(~old_checksum)) +
                         static_cast<uint16_t>(~checksum_word(before)) + checksum_word(after));
}

}  // namespace tunwright
