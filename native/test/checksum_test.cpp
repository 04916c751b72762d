#include "../core/checksum.hpp"

#include "packets.hpp"

using namespace tunwright;

TEST("checksum: agrees with the naive sum for every length and alignment") {
  for (size_t length = 0; length < 300; length++) {
    const auto data = check::octets(length + 8);
    const size_t skew = length % 8;
    uint8_t stored[2];
    checksum_store(stored, checksum_add(data.data() + skew, length));
    const uint16_t naive = static_cast<uint16_t>(~packets::naive_sum(data.data() + skew, length));
    EXPECT(load16(stored) == naive);
  }
}

TEST("checksum: does not overflow on 64 kB of ones") {
  const std::vector<uint8_t> ones(65535, 0xff);
  uint8_t stored[2];
  checksum_store(stored, checksum_add(ones.data(), ones.size()));
  EXPECT(load16(stored) == static_cast<uint16_t>(~packets::naive_sum(ones.data(), ones.size())));
}

TEST("checksum: replacing a field equals computing anew") {
  for (int round = 0; round < 2000; round++) {
    auto packet = packets::make({}, check::octets(check::below(40)));
    const uint16_t before = load16(&packet[34]);
    const uint16_t after = static_cast<uint16_t>(check::below(65536));
    store16(&packet[34], after);
    checksum_replace(&packet[36], before, after);
    EXPECT(packets::checksums_hold(packet));
  }
}
