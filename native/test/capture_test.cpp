#include "../core/capture.hpp"

#include "check.hpp"

using namespace tunwright;

TEST("capture: keeps the last packets, oldest first, as many octets of each as were asked for") {
  CaptureRing ring(3, 8);
  for (uint8_t i = 0; i < 5; i++) {
    CaptureMark mark;
    mark.time_ns = i;
    const std::vector<uint8_t> head(i, 0xee);
    const std::vector<uint8_t> body(6, i);
    ring.record(mark, head, body);
  }
  uint64_t next = 2;
  ring.for_each([&](const CaptureMark& mark, std::span<const uint8_t> octets) {
    EXPECT(mark.time_ns == next && mark.length == 6 + next);
    EXPECT(octets.size() == 8);
    for (size_t at = 0; at < octets.size(); at++) EXPECT(octets[at] == (at < next ? 0xee : next));
    next++;
  });
  EXPECT(next == 5);
}

TEST("capture: holds what there was while it is not full, and records one side only") {
  Capture capture(CaptureSide::outer, 2, 4, 16);
  EXPECT(CaptureTaps(&capture, 1).inner == nullptr);
  EXPECT(CaptureTaps(nullptr, 1).outer == nullptr);
  const std::vector<uint8_t> packet(5, 7);
  CaptureTaps(&capture, 1).outer->record({}, {}, packet);
  size_t packets = 0;
  for (const CaptureRing& ring : capture.rings())
    ring.for_each([&](const CaptureMark& mark, std::span<const uint8_t> octets) {
      EXPECT(mark.length == 5 && octets.size() == 5 && octets[4] == 7);
      packets++;
    });
  EXPECT(packets == 1);
}
