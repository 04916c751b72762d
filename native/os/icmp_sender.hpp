#pragma once
#include <cstdint>
#include <optional>

#include "../core/icmp.hpp"
#include "../core/rate_limit.hpp"
#include "file_descriptor.hpp"

namespace tunwright {

/**
 * Sends ICMP errors of this router. The kernel chooses source address and way as for its own errors. Without CAP_NET_RAW
 * nothing is sent; the sender then finds out by losing packets.
 */
class IcmpSender {
 public:
  IcmpSender();

  /** Not more often than a router should (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f). */
  void send(const IcmpError& error, uint64_t now_ms);

 private:
  FileDescriptor v4_;
  FileDescriptor v6_;
  RateLimit limit_{50, 100};
};

}  // namespace tunwright
