#pragma once
// Counters that JavaScript reads without a call: arrays of u64 in the order of TUNNEL_COUNTERS and SA_COUNTERS
// (src/io/native.ts). One thread receives and is the only writer of what it counts; several may send, which share theirs.
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tunwright {

class Counter {
 public:
  /** For the only thread that writes it: a plain load and store. */
  void add(uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  /** For counters that more than one thread bumps. */
  void add_shared(uint64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct TunnelCounters {
  Counter tx_packets;
  Counter tx_bytes;
  Counter tx_drop_no_sa;
  Counter tx_drop_too_big;
  Counter tx_drop_sequence;
  Counter tx_drop_send;  // the JavaScript thread, which sends IKE messages, counts here, too
  Counter tx_drop_malformed;
  Counter rx_packets;
  Counter rx_bytes;
  Counter rx_drop_no_sa;
  Counter rx_drop_replay;
  Counter rx_drop_auth;
  Counter rx_drop_malformed;
  Counter rx_drop_policy;
  Counter rx_drop_tun;
  Counter rx_dummy;
  Counter ike_rx;
  Counter ike_drop_queue;
  Counter keepalive_rx;
  Counter rx_last_ms;
};

struct SaCounters {
  Counter packets;
  Counter bytes;
  Counter sequence;   // the highest
  Counter missing;    // numbers below it that have not come
  Counter reordered;  // packets that came after a higher number
  Counter drop_replay;
  Counter drop_auth;
  Counter drop_malformed;
  Counter drop_policy;
  Counter drop_too_big;  // for the path, with an answer to the sender
  Counter drop_queue;    // the socket was full
  Counter last_used_ms;
};

static_assert(sizeof(Counter) == sizeof(uint64_t), "JavaScript reads counters as plain u64");
inline constexpr size_t kTunnelCounters = sizeof(TunnelCounters) / sizeof(Counter);
inline constexpr size_t kSaCounters = sizeof(SaCounters) / sizeof(Counter);

}  // namespace tunwright
