#include "../core/train.hpp"

#include <deque>

#include "check.hpp"

using tunwright::Train;

TEST("train: a uniform one takes equal sizes, one shorter at the end, and no more than a datagram or 64 packets") {
  std::vector<uint8_t> buffer(Train::kCapacity);
  for (int round = 0; round < 2000; round++) {
    Train train(buffer.data());
    const size_t size = 60 + check::below(1500);
    bool ended = false;
    size_t packets = 0;
    for (int i = 0; i < 100; i++) {
      const size_t next = check::below(40) == 0 ? 1 + check::below(2000) : size;
      const size_t length = train.octets().size();
      const bool fits = packets == 0 || (!ended && next <= train.packet(0).size() && packets < 64 && length + next <= 65507);
      EXPECT(train.accepts(next, 0, true) == fits);
      if (!fits) continue;
      EXPECT(train.tail() == buffer.data() + length);
      train.append(next, 0);
      packets++;
      ended = next < train.packet(0).size();
    }
    EXPECT(train.packets() == packets && train.octets().size() <= 65507);
  }
}

TEST("train: packets of any size leave from the front, in order and whole") {
  std::vector<uint8_t> buffer(Train::kCapacity);
  for (int round = 0; round < 500; round++) {
    Train train(buffer.data());
    std::deque<std::vector<uint8_t>> waiting;
    for (int i = 0; i < 200; i++) {
      const auto packet = check::octets(1 + check::below(3000));
      if (train.accepts(packet.size(), 2, false)) {
        std::copy(packet.begin(), packet.end(), train.tail());
        train.append(packet.size(), 2);
        waiting.push_back(packet);
      }
      const size_t leaving = check::below(4);
      if (leaving >= waiting.size()) continue;
      train.advance(leaving);
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<ptrdiff_t>(leaving));
      EXPECT(train.packets() == waiting.size());
      size_t total = 0;
      for (size_t n = 0; n < waiting.size(); n++) {
        const auto held = train.packet(n);
        EXPECT(std::equal(held.begin(), held.end(), waiting[n].begin(), waiting[n].end()));
        total += held.size();
      }
      EXPECT(train.octets().size() == total);
    }
    train.clear();
    EXPECT(train.packets() == 0 && train.accepts(65507, 2, true) && !train.accepts(65508, 2, true));
  }
}

TEST("train: takes no packet of another traffic class") {
  std::vector<uint8_t> buffer(Train::kCapacity);
  Train train(buffer.data());
  train.append(100, 0x02);
  for (const bool uniform : {false, true}) EXPECT(train.accepts(100, 0x02, uniform) && !train.accepts(100, 0x03, uniform));
  EXPECT(train.traffic_class() == 0x02);
}
