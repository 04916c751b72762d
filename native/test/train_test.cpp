#include "../core/train.hpp"

#include "check.hpp"

using tunwright::Train;

TEST("train: takes equal sizes, one shorter at the end, and no more than a datagram or 64 packets") {
  std::vector<uint8_t> buffer(Train::kCapacity);
  for (int round = 0; round < 2000; round++) {
    Train train(buffer.data());
    const size_t size = 60 + check::below(1500);
    bool closed = false;
    size_t packets = 0;
    for (int i = 0; i < 100; i++) {
      const size_t next = check::below(40) == 0 ? 1 + check::below(2000) : size;
      const bool fits = packets == 0 || (!closed && next <= train.segment() && packets < 64 && (train.length() + next <= 65507));
      EXPECT(train.accepts(next) == fits);
      if (!fits) continue;
      EXPECT(train.tail() == buffer.data() + train.length());
      train.append(next);
      packets++;
      closed = next < train.segment();
    }
    EXPECT(train.packets() == packets && train.length() <= 65507);
  }
}
