#include "../core/sa_table.hpp"

#include <map>
#include <thread>

#include "../core/retired.hpp"
#include "check.hpp"

using namespace tunwright;

namespace {

std::unique_ptr<InboundSa> make_sa(uint32_t spi) {
  static const std::vector<uint8_t> key(16, 1);
  static const std::vector<uint8_t> salt(4, 2);
  return std::make_unique<InboundSa>(SaKeys{.spi = spi, .key = key, .salt = salt, .esn = false}, 64);
}

}  // namespace

TEST("SA table: agrees with a map through a life of installs and removals") {
  SaTable table;
  std::map<uint32_t, InboundSa*> model;
  for (int i = 0; i < 20000; i++) {
    const uint32_t spi = 256 + static_cast<uint32_t>(check::below(90));  // few, so that clusters and reuse happen
    if (check::below(2) == 0) {
      auto sa = make_sa(spi);
      InboundSa* raw = sa.get();
      const auto result = table.install(sa);
      if (model.count(spi) != 0) {
        EXPECT(result == SaTable::Install::duplicate);
      } else if (model.size() == SaTable::kCapacity) {
        EXPECT(result == SaTable::Install::full && sa != nullptr);
      } else {
        EXPECT(result == SaTable::Install::done && sa == nullptr);
        model[spi] = raw;
      }
    } else {
      const auto removed = table.remove(spi);
      EXPECT(removed.get() == (model.count(spi) != 0 ? model[spi] : nullptr));
      model.erase(spi);
    }
    for (uint32_t probe = 256; probe < 346; probe += 13)
      EXPECT(table.find(probe) == (model.count(probe) != 0 ? model[probe] : nullptr));
  }
}

TEST("SA table: a reader sees whole SAs while they come and go, and none after it was reclaimed") {
  SaTable table;
  Readers readers(1);
  Retired<InboundSa> retired(readers);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> found{0};
  std::thread reader([&] {
    while (!stop.load(std::memory_order_acquire)) {
      readers.pass(0);
      retired.reclaim();
      for (uint32_t spi = 300; spi < 340; spi++) {
        const InboundSa* sa = table.find(spi);
        if (sa == nullptr) continue;
        EXPECT(sa->spi == spi && sa->opener.window().size() == 64);
        found.fetch_add(1, std::memory_order_relaxed);
      }
    }
  });
  for (int i = 0; i < 3000 || found.load() < 1000; i++) {
    const uint32_t spi = 300 + static_cast<uint32_t>(i % 40);
    auto sa = make_sa(spi);
    EXPECT(table.install(sa) == SaTable::Install::done);
    if (i % 3 == 0) std::this_thread::yield();
    retired.retire(table.remove(spi));
  }
  stop.store(true, std::memory_order_release);
  reader.join();
  EXPECT(found.load() > 0);
}
