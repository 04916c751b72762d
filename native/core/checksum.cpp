#include "checksum.hpp"

namespace tunwright {

uint64_t checksum_add(const uint8_t* data, size_t length, uint64_t sum) {
  // Four independent lanes of 32-bit words in 64-bit registers: no carries to chase below 2^32 words.
  uint64_t lanes[4] = {0, 0, 0, 0};
  while (length >= 16) {
    uint32_t words[4];
    std::memcpy(words, data, sizeof words);
    for (int i = 0; i < 4; i++) lanes[i] += words[i];
    data += 16;
    length -= 16;
  }
  while (length >= 4) {
    uint32_t word;
    std::memcpy(&word, data, sizeof word);
    lanes[0] += word;
    data += 4;
    length -= 4;
  }
  uint32_t tail = 0;
  std::memcpy(&tail, data, length);
  for (const uint64_t lane : lanes) sum = carry_add(sum, lane);
  return carry_add(sum, tail);
}

}  // namespace tunwright
