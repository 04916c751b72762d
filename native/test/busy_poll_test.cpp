#include "../core/busy_poll.hpp"

#include "check.hpp"

using namespace tunwright;

TEST("busy poll: opens for packets that come soon, never beyond its limit, and closes for those that do not") {
  BusyPoll poll(100);
  EXPECT(poll.window_us() == 0);
  poll.waited(60);
  EXPECT(poll.window_us() == 10);
  for (int i = 0; i < 10; i++) poll.waited(90);
  EXPECT(poll.window_us() == 80 || poll.window_us() == 100);
  const uint64_t open = poll.window_us();
  poll.waited(open);  // found while it looked
  EXPECT(poll.window_us() == open);
  poll.waited(101);
  EXPECT(poll.window_us() == 0);
}

TEST("busy poll: with a limit of zero it never looks") {
  BusyPoll poll(0);
  EXPECT(poll.off());
  for (const uint64_t idle : {uint64_t{1}, uint64_t{50}, uint64_t{5000}}) poll.waited(idle);
  EXPECT(poll.window_us() == 0);
}
