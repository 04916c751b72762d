#pragma once
#include <atomic>
#include <mutex>

#include "outbound_sa.hpp"
#include "tun_linux.hpp"

namespace tunwright {

/**
 * The device has carrier while packets can leave through an SA. The kernel takes a device without from all nexthop groups
 * at once, before any routing daemon has noticed anything. Off the packet path: called when an SA came, went or ended.
 */
class Carrier {
 public:
  /** A new device has none. */
  Carrier(TunDevice& tun, const std::atomic<OutboundSa*>& outbound) : tun_(tun), outbound_(outbound) {}

  /** Throws SystemError. Any thread that may hold the SA. */
  void follow() {
    const std::lock_guard lock(turn_);
    const OutboundSa* sa = outbound_.load(std::memory_order_acquire);
    const bool usable = sa != nullptr && !sa->numbers.exhausted();
    if (usable == up_) return;
    tun_.set_carrier(usable);
    up_ = usable;
  }

 private:
  TunDevice& tun_;
  const std::atomic<OutboundSa*>& outbound_;
  std::mutex turn_;
  bool up_ = false;
};

}  // namespace tunwright
