#include "sa_table.hpp"

namespace tunwright {

namespace {

alignas(InboundSa) unsigned char tombstone_storage;

}  // namespace

InboundSa* SaTable::tombstone() { return reinterpret_cast<InboundSa*>(&tombstone_storage); }

SaTable::~SaTable() {
  for (auto& slot : slots_) {
    InboundSa* sa = slot.load(std::memory_order_relaxed);
    if (sa != tombstone()) delete sa;
  }
}

SaTable::Install SaTable::install(std::unique_ptr<InboundSa>& sa) {
  if (find(sa->spi) != nullptr) return Install::duplicate;
  if (count_ == kCapacity) return Install::full;
  size_t slot = home(sa->spi);
  for (;; slot = after(slot)) {
    const InboundSa* held = slots_[slot].load(std::memory_order_relaxed);
    if (held == nullptr || held == tombstone()) break;
  }
  slots_[slot].store(sa.release(), std::memory_order_release);
  count_++;
  return Install::done;
}

std::unique_ptr<InboundSa> SaTable::remove(uint32_t spi) {
  size_t slot = home(spi);
  for (size_t probes = 0; probes < kSlots; probes++, slot = after(slot)) {
    InboundSa* held = slots_[slot].load(std::memory_order_relaxed);
    if (held == nullptr) return nullptr;
    if (held == tombstone() || held->spi != spi) continue;
    slots_[slot].store(tombstone(), std::memory_order_release);
    trim_tombstones(slot);
    count_--;
    return std::unique_ptr<InboundSa>(held);
  }
  return nullptr;
}

/** Tombstones in front of an empty slot lead nowhere: empty them, or probes would grow with every rekey. */
void SaTable::trim_tombstones(size_t slot) {
  if (slots_[after(slot)].load(std::memory_order_relaxed) != nullptr) return;
  while (slots_[slot].load(std::memory_order_relaxed) == tombstone()) {
    slots_[slot].store(nullptr, std::memory_order_release);
    slot = (slot + kSlots - 1) % kSlots;
  }
}

InboundSa* SaTable::find(uint32_t spi) const {
  size_t slot = home(spi);
  for (size_t probes = 0; probes < kSlots; probes++, slot = after(slot)) {
    InboundSa* held = slots_[slot].load(std::memory_order_acquire);
    if (held == nullptr) return nullptr;
    if (held != tombstone() && held->spi == spi) return held;
  }
  return nullptr;
}

}  // namespace tunwright
