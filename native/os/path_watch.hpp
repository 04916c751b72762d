#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "outbound_sa.hpp"
#include "socket_options.hpp"
#include "tun_linux.hpp"

namespace tunwright {

/**
 * Keeps the tunnel's MTU within what the path carries. The kernel knows the path: its routes, the MTU of its devices and
 * what ICMP has taught it; it is asked when there is reason to, and now and then, because knowledge from ICMP expires.
 * The device follows, so that the kernel, which routes packets into it, tells senders or fragments as it does anywhere.
 */
class PathWatch {
 public:
  /** `configured`: the MTU that is never exceeded. */
  PathWatch(const SocketOptions& options, TunDevice& tun, size_t configured);

  /** Octets of the largest inner packet. Any thread. */
  size_t inner_mtu() const { return inner_.load(std::memory_order_relaxed); }
  /** There may be news: another SA, an ICMP message, a packet that was refused. True when that is news itself. Any thread. */
  bool suspect() { return !suspected_.exchange(true, std::memory_order_relaxed); }

  /** Looks if it is time to; true when the MTU has changed. `lane` may be null: nothing leaves. One thread only. */
  bool look(Lane* lane, uint64_t now_ms);
  /** How long a thread may sleep before it is time to look. */
  int sleep_ms() const { return suspected_.load(std::memory_order_relaxed) ? kSuspiciousMs : kRegularMs; }
  /** Octets; 0 before the first look. */
  size_t path_mtu() const { return path_mtu_; }

 private:
  static constexpr int kRegularMs = 3'000;
  // A stream of ICMP messages or refused packets is no reason to ask more often.
  static constexpr int kSuspiciousMs = 50;

  const SocketOptions options_;
  TunDevice& tun_;
  const size_t configured_;
  std::atomic<size_t> inner_;
  std::atomic<bool> suspected_{false};
  size_t path_mtu_ = 0;
  uint64_t looked_ms_ = 0;
};

}  // namespace tunwright
