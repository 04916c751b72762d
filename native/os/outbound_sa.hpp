#pragma once
#include <memory>

#include "../core/counters.hpp"
#include "../core/esp.hpp"
#include "datagram_socket.hpp"

namespace tunwright {

/** Where ESP packets of one SA go. */
struct Departure {
  const DatagramSocket* socket = nullptr;
  SocketAddress remote;

  /** The socket is connected to the remote end: messages need no address. */
  bool connected() const { return socket->peer() && *socket->peer() == remote; }
  bool operator==(const Departure&) const = default;
};

/** The SA that packets from the TUN leave through. */
struct OutboundSa {
  OutboundSa(const SaKeys& keys, const Departure& to)
      : sealer(keys), departure(to), counters(std::make_shared<SaCounters>()) {}

  EspSealer sealer;
  const Departure departure;
  const std::shared_ptr<SaCounters> counters;
};

}  // namespace tunwright
