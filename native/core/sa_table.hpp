#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "counters.hpp"
#include "esp.hpp"

namespace tunwright {

struct InboundSa {
  InboundSa(const SaKeys& keys, uint32_t replay_window)
      : spi(keys.spi), opener(keys, replay_window), counters(std::make_shared<SaCounters>()) {}

  const uint32_t spi;
  EspOpener opener;
  const std::shared_ptr<SaCounters> counters;
};

/**
 * Inbound SAs by SPI: open addressing with linear probing over atomic pointers. One thread writes (install, remove), the
 * packet thread looks up without a lock. A removed SA is handed back to the writer, who must keep it until the packet
 * thread has passed a point where it holds no SA (see Retired).
 */
class SaTable {
 public:
  /** Rekeying keeps two or three SAs at a time; more than this is a fault of the caller. */
  static constexpr size_t kCapacity = 48;

  enum class Install : uint8_t { done, duplicate, full };

  SaTable() = default;
  ~SaTable();
  SaTable(const SaTable&) = delete;
  SaTable& operator=(const SaTable&) = delete;

  /** Takes ownership when `done`. */
  Install install(std::unique_ptr<InboundSa>& sa);
  /** Null when no SA has this SPI. */
  std::unique_ptr<InboundSa> remove(uint32_t spi);
  /** For the packet thread; valid until its next quiescent point. */
  InboundSa* find(uint32_t spi) const;

 private:
  static constexpr size_t kSlots = 64;
  static size_t home(uint32_t spi) { return (spi * 0x9e3779b1u) >> 26; }
  static size_t after(size_t slot) { return (slot + 1) % kSlots; }

  /** Marks a slot whose SA was removed while entries behind it may still be reached through it. */
  static InboundSa* tombstone();
  void trim_tombstones(size_t slot);

  std::array<std::atomic<InboundSa*>, kSlots> slots_{};
  size_t count_ = 0;
};

}  // namespace tunwright
