#include "checksum.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tunwright {

namespace {

/** Sums the whole blocks at the front of `data`, and leaves the rest. */
using SumBlocks = uint64_t (*)(const uint8_t*& data, size_t& length);

/** Four independent lanes of 32-bit words in 64-bit registers: no carries to chase below 2^32 words. */
inline uint64_t sum_blocks(const uint8_t*& data, size_t& length) {
  uint64_t lanes[4] = {0, 0, 0, 0};
  while (length >= 16) {
    uint32_t words[4];
    std::memcpy(words, data, sizeof words);
    for (int i = 0; i < 4; i++) lanes[i] += words[i];
    data += 16;
    length -= 16;
  }
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

#if defined(__x86_64__)
/** The same with sixteen lanes. */
__attribute__((target("avx2"))) uint64_t sum_blocks_avx2(const uint8_t*& data, size_t& length) {
  constexpr size_t kVector = sizeof(__m256i);
  const __m256i low_words = _mm256_set1_epi64x(0xffffffff);
  __m256i lanes[4] = {};
  while (length >= 2 * kVector) {
    for (size_t i = 0; i < 2; i++) {
      const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + i * kVector));
      lanes[2 * i] = _mm256_add_epi64(lanes[2 * i], _mm256_and_si256(words, low_words));
      lanes[2 * i + 1] = _mm256_add_epi64(lanes[2 * i + 1], _mm256_srli_epi64(words, 32));
    }
    data += 2 * kVector;
    length -= 2 * kVector;
  }
  const __m256i all = _mm256_add_epi64(_mm256_add_epi64(lanes[0], lanes[1]), _mm256_add_epi64(lanes[2], lanes[3]));
  uint64_t parts[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(parts), all);
  return parts[0] + parts[1] + parts[2] + parts[3];
}

const SumBlocks kSumManyBlocks = __builtin_cpu_supports("avx2") ? sum_blocks_avx2 : sum_blocks;
#else
constexpr SumBlocks kSumManyBlocks = sum_blocks;
#endif

/** From here on the wider registers are worth the call. */
constexpr size_t kMany = 128;

}  // namespace

uint64_t checksum_add(const uint8_t* data, size_t length, uint64_t sum) {
  uint64_t words = 0;
  if (length >= kMany) words = kSumManyBlocks(data, length);
  words += sum_blocks(data, length);
  while (length >= 4) {
    uint32_t word;
    std::memcpy(&word, data, sizeof word);
    words += word;
    data += 4;
    length -= 4;
  }
  uint32_t tail = 0;
  std::memcpy(&tail, data, length);
  return carry_add(sum, words + tail);
}

}  // namespace tunwright
