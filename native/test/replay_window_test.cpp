#include "../core/replay_window.hpp"

#include <set>

#include "check.hpp"

using namespace tunwright;
using Verdict = ReplayWindow::Verdict;

namespace {

/** RFC 4303 §3.4.3 with a set of everything ever seen. */
struct Model {
  explicit Model(uint64_t window) : size(window) {}

  uint64_t size;
  uint64_t top = 0;
  uint64_t reordered = 0;
  std::set<uint64_t> seen;

  Verdict check(uint64_t sequence) const {
    if (sequence == 0 || (sequence <= top && top - sequence >= size)) return Verdict::too_old;
    return seen.count(sequence) != 0 ? Verdict::replayed : Verdict::fresh;
  }
  void mark(uint64_t sequence) {
    seen.insert(sequence);
    if (sequence < top) reordered++;
    if (sequence > top) top = sequence;
  }
};

}  // namespace

TEST("replay window: agrees with a set of all numbers, over steps and jumps") {
  for (const uint32_t size : {64u, 128u, 4096u, 65536u}) {
    ReplayWindow window(size);
    Model model(size);
    for (int i = 0; i < 20000; i++) {
      const uint64_t reach = check::below(50) == 0 ? 10 * size : size / 8 + 2;
      const uint64_t ahead = model.top + check::below(reach);
      const uint64_t sequence = check::below(3) == 0 ? ahead : ahead - std::min<uint64_t>(ahead, check::below(size + 20));
      const Verdict verdict = window.check(sequence);
      EXPECT(verdict == model.check(sequence));
      if (verdict != Verdict::fresh || check::below(10) == 0) continue;
      window.mark(sequence);
      model.mark(sequence);
      EXPECT(window.top() == model.top);
      EXPECT(window.missing() == model.top - model.seen.size() && window.reordered() == model.reordered);
    }
  }
}

TEST("replay window: takes the numbers at the end of the 64-bit space") {
  ReplayWindow window(64);
  window.mark(UINT64_MAX);
  EXPECT(window.check(UINT64_MAX) == Verdict::replayed);
  EXPECT(window.check(UINT64_MAX - 63) == Verdict::fresh);
  EXPECT(window.check(UINT64_MAX - 64) == Verdict::too_old);
}

TEST("replay window: finds the number whose low half was sent") {
  for (const uint32_t size : {64u, 1024u}) {
    for (int i = 0; i < 20000; i++) {
      ReplayWindow window(size);
      const uint64_t top = (uint64_t{1} << 32) * (1 + check::below(3)) + check::below(2 * size) - size;
      window.mark(top);
      // Anything in the window or less than 2^32 - size ahead of it is found again.
      const uint64_t sent = top - size + 1 + check::below(check::below(2) == 0 ? 2 * size : (uint64_t{1} << 32) - 1);
      EXPECT(window.infer_esn(static_cast<uint32_t>(sent)) == sent);
    }
  }
}
