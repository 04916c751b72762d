#pragma once
#include <atomic>
#include <memory>

#include "../core/counters.hpp"
#include "../core/esp.hpp"
#include "../core/mtu.hpp"
#include "datagram_socket.hpp"

namespace tunwright {

/** Where ESP packets of one SA go. */
struct Departure {
  const DatagramSocket* socket = nullptr;
  SocketAddress remote;
  Encapsulation encapsulation = Encapsulation::udp;

  /** The socket is connected to the remote end: messages need no address. */
  bool connected() const { return socket->peer() && *socket->peer() == remote; }
  bool operator==(const Departure&) const = default;
};

/** The SA that packets from the TUN leave through. Belongs to the packet thread, but for `move`. */
struct OutboundSa {
  OutboundSa(const SaKeys& keys, const Departure& to)
      : sealer(keys), counters(std::make_shared<SaCounters>()), departure_(to) {}
  ~OutboundSa() { delete moved_.load(); }
  OutboundSa(const OutboundSa&) = delete;
  OutboundSa& operator=(const OutboundSa&) = delete;

  /** Where packets go from now on. */
  const Departure& departure() {
    if (moved_.load(std::memory_order_relaxed) == nullptr) return departure_;
    const std::unique_ptr<SocketAddress> to(moved_.exchange(nullptr, std::memory_order_acq_rel));
    departure_.remote = SocketAddress(to->octets(), departure_.encapsulation == Encapsulation::udp ? to->port() : 0);
    return departure_;
  }

  /** The remote end has another address or port; keys and sequence numbers go on. From another thread. */
  void move(const SocketAddress& remote) {
    const std::unique_ptr<SocketAddress> unread(
        moved_.exchange(new SocketAddress(remote), std::memory_order_acq_rel));
  }

  EspSealer sealer;
  const std::shared_ptr<SaCounters> counters;

 private:
  Departure departure_;
  std::atomic<SocketAddress*> moved_{nullptr};
};

}  // namespace tunwright
