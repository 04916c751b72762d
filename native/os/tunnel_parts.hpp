#pragma once
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../core/capture.hpp"
#include "../core/counters.hpp"
#include "../core/readers.hpp"
#include "../core/retired.hpp"
#include "../core/sa_table.hpp"
#include "carrier.hpp"
#include "offloads.hpp"
#include "outbound_sa.hpp"
#include "path_watch.hpp"
#include "raw_esp_linux.hpp"
#include "tun_linux.hpp"
#include "udp_linux.hpp"

namespace tunwright {

struct TunnelOptions {
  std::string interface;
  int mtu;
  SocketOptions socket;
  std::vector<uint8_t> remote_address;  // 4 or 16 octets; empty: a responder
  bool copy_dscp = false;               // the outer header shows the inner one's DSCP
  size_t threads = 1;                   // 1: one for both directions; more: one receives, the others send
  std::vector<int> processors;          // the threads' own, in turn; empty: wherever the kernel puts them
  Offloads offloads;
  uint32_t busy_poll_us = 0;            // how long a thread at most looks for packets before it sleeps
};

/** What the threads of one tunnel have in common. */
struct TunnelParts {
  /** Opens everything. Throws SystemError. */
  explicit TunnelParts(const TunnelOptions& options);

  size_t senders() const { return tun.queues(); }
  OutboundSa* outbound_sa() const { return outbound.load(std::memory_order_acquire); }

  const std::shared_ptr<TunnelCounters> counters;
  TunDevice tun;
  UdpSocket ike_socket;
  UdpSocket nat_socket;
  std::optional<RawEspSocket> esp_socket;  // none without CAP_NET_RAW
  PathWatch path;
  SaTable inbound;
  std::atomic<OutboundSa*> outbound{nullptr};
  Carrier carrier;
  Readers readers;  // each packet thread is one
  Retired<InboundSa> retired_inbound;
  Retired<OutboundSa> retired_outbound;
  std::atomic<Capture*> capture{nullptr};
  std::atomic<bool> stop{false};

  ~TunnelParts() { delete outbound.load(); }
};

}  // namespace tunwright
