#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "../core/counters.hpp"
#include "../core/esp.hpp"
#include "../core/mtu.hpp"
#include "../core/sequence_space.hpp"
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

/** What one thread needs to send through an SA. Belongs to that thread, but for `move`. */
class Lane {
 public:
  Lane(const SaKeys& keys, SequenceSpace& numbers, const Departure& to) : sealer(keys, numbers), departure_(to) {}
  ~Lane() { delete moved_.load(); }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /** Where packets go from now on. */
  const Departure& departure() {
    if (moved_.load(std::memory_order_relaxed) == nullptr) return departure_;
    const std::unique_ptr<SocketAddress> to(moved_.exchange(nullptr, std::memory_order_acq_rel));
    departure_.remote = SocketAddress(to->octets(), departure_.encapsulation == Encapsulation::udp ? to->port() : 0);
    return departure_;
  }

  void move(const SocketAddress& remote) {
    const std::unique_ptr<SocketAddress> unread(
        moved_.exchange(new SocketAddress(remote), std::memory_order_acq_rel));
  }

  EspSealer sealer;

 private:
  Departure departure_;
  std::atomic<SocketAddress*> moved_{nullptr};
};

/** The SA that packets from the TUN leave through: sequence numbers and counters in common, the rest once per thread. */
struct OutboundSa {
  OutboundSa(const SaKeys& keys, const Departure& to, size_t threads)
      : numbers(keys.esn), counters(std::make_shared<SaCounters>()) {
    for (size_t i = 0; i < threads; i++) lanes.push_back(std::make_unique<Lane>(keys, numbers, to));
  }

  /** The remote end has another address or port; keys and sequence numbers go on. */
  void move(const SocketAddress& remote) {
    for (const auto& lane : lanes) lane->move(remote);
  }

  SequenceSpace numbers;
  const std::shared_ptr<SaCounters> counters;
  std::vector<std::unique_ptr<Lane>> lanes;
};

}  // namespace tunwright
