#pragma once
#include <memory>

#include "../core/counters.hpp"
#include "../core/esp.hpp"
#include "socket_address.hpp"

namespace tunwright {

/** The SA that packets from the TUN leave through, and where they go. */
struct OutboundSa {
  OutboundSa(const SaKeys& keys, const SocketAddress& to)
      : sealer(keys), remote(to), counters(std::make_shared<SaCounters>()) {}

  EspSealer sealer;
  const SocketAddress remote;
  const std::shared_ptr<SaCounters> counters;
};

}  // namespace tunwright
