#pragma once
// AES blocks and the field of GHASH in vector registers, without branches or loads that depend on keys or data. For functions
// that are compiled for, and only called on, processors with VAES and AVX-512.
#if defined(__clang__)
#include <immintrin.h>
#else
// What these headers call undefined registers, GCC 12 takes for a mistake (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#define VAES_CODE __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmul")))
#define VAES_INLINE VAES_CODE inline __attribute__((always_inline))

namespace tunwright::vaes {

/** Octets in the order in which GCM counts and multiplies, as numbers: the first octet is the highest. */
VAES_INLINE __m128i swap_octets(__m128i block) {
  return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
VAES_INLINE __m512i swap_octets(__m512i blocks) {
  const __m128i order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order));
}

/**
 * A sum of products before its reduction (NIST SP 800-38D §6.3): 256 bits in three overlapping parts, in four lanes that are yet to
 * be added. One factor of each product comes from times_x().
 */
struct Products {
  __m512i low = {};
  __m512i middle = {};
  __m512i high = {};

  VAES_INLINE Products() {}
  VAES_INLINE void add(__m512i a, __m512i b) {
    constexpr int kXor3 = 0x96;
    low = _mm512_xor_si512(low, _mm512_clmulepi64_epi128(a, b, 0x00));
    middle = _mm512_ternarylogic_epi64(middle, _mm512_clmulepi64_epi128(a, b, 0x01), _mm512_clmulepi64_epi128(a, b, 0x10), kXor3);
    high = _mm512_xor_si512(high, _mm512_clmulepi64_epi128(a, b, 0x11));
  }
  VAES_INLINE void add(__m128i a, __m128i b) { add(_mm512_zextsi128_si512(a), _mm512_zextsi128_si512(b)); }

  /** Modulo x^128 + x^127 + x^126 + x^121 + 1, 64 bits at a time from below. */
  VAES_INLINE __m128i reduce() const {
    const __m128i polynomial = _mm_set_epi64x(static_cast<long long>(0xc200000000000000), 0);
    const __m128i lowest = across(low);
    __m128i rest = _mm_xor_si128(across(middle), _mm_shuffle_epi32(lowest, 0x4e));
    rest = _mm_xor_si128(rest, _mm_clmulepi64_si128(lowest, polynomial, 0x10));
    const __m128i folded = _mm_xor_si128(_mm_shuffle_epi32(rest, 0x4e), _mm_clmulepi64_si128(rest, polynomial, 0x10));
    return _mm_xor_si128(across(high), folded);
  }

 private:
  static VAES_INLINE __m128i across(__m512i lanes) {
    const __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
};

VAES_INLINE __m128i multiply(__m128i a, __m128i b) {
  Products product;
  product.add(a, b);
  return product.reduce();
}

/** GCM's bits run the other way, so that a product of numbers lacks a factor x: one operand gets it beforehand. */
VAES_INLINE __m128i times_x(__m128i a) {
  const uint64_t low = static_cast<uint64_t>(_mm_extract_epi64(a, 0));
  const uint64_t high = static_cast<uint64_t>(_mm_extract_epi64(a, 1));
  const uint64_t carry = 0 - (high >> 63);
  const uint64_t shifted_high = (high << 1 | low >> 63) ^ (carry & 0xc200000000000000);
  return _mm_set_epi64x(static_cast<long long>(shifted_high), static_cast<long long>(low << 1 ^ (carry & 1)));
}

/** Expands a key of 16, 24 or 32 octets, FIPS 197 §5.2; returns the number of rounds, whose keys are then `rounds` + 1. */
VAES_CODE inline int expand_key(std::span<const uint8_t> key, __m128i* round_keys) {
  const size_t words = key.size() / 4;
  const int rounds = static_cast<int>(words) + 6;
  const size_t all = 4 * (static_cast<size_t>(rounds) + 1);
  uint32_t schedule[60];
  std::memcpy(schedule, key.data(), key.size());
  uint32_t constant = 1;
  for (size_t i = words; i < all; i++) {
    const __m128i before = _mm_set1_epi32(static_cast<int>(schedule[i - 1]));
    uint32_t word = schedule[i - 1];
    if (i % words == 0) {
      word = static_cast<uint32_t>(_mm_extract_epi32(_mm_aeskeygenassist_si128(before, 0), 1)) ^ constant;  // rotated
      constant = constant << 1 ^ ((0u - (constant >> 7)) & 0x11bu);
    } else if (words == 8 && i % words == 4) {
      word = static_cast<uint32_t>(_mm_extract_epi32(_mm_aeskeygenassist_si128(before, 0), 0));
    }
    schedule[i] = schedule[i - words] ^ word;
  }
  std::memcpy(round_keys, schedule, all * sizeof(uint32_t));
  explicit_bzero(schedule, sizeof schedule);
  return rounds;
}

}  // namespace tunwright::vaes
