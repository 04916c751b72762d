#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../core/counters.hpp"
#include "../core/retired.hpp"
#include "../core/sa_table.hpp"
#include "arena.hpp"
#include "outbound_sa.hpp"
#include "path_watch.hpp"
#include "raw_esp_linux.hpp"
#include "receiver.hpp"
#include "transmitter.hpp"
#include "tun_linux.hpp"
#include "udp_linux.hpp"

namespace tunwright {

struct TunnelOptions {
  std::string interface;
  int mtu;
  SocketOptions socket;
  std::vector<uint8_t> remote_address;  // 4 or 16 octets; empty: a responder
  bool copy_dscp = false;               // the outer header shows the inner one's DSCP
};

/**
 * One tunnel: a TUN device, UDP ports 500 and 4500, IP protocol 50, and a thread that moves packets between them.
 *
 * SAs are installed and removed from one other thread while packets flow. The packet thread reads them through atomic
 * pointers; what is taken out is destroyed by the packet thread at the top of its loop, where it holds none.
 */
class Tunnel {
 public:
  /** Opens everything and starts the thread. Throws SystemError. `observer` outlives the tunnel. */
  Tunnel(const TunnelOptions& options, TunnelObserver& observer);
  /** Zeroises keys, closes device and sockets: the kernel takes tens of milliseconds to take a device away. */
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  /** Ends the thread, which takes as long as a turn of its loop: no packet moves and no observer is called any more. */
  void stop();

  int interface_index() const { return tun_.index(); }
  const std::shared_ptr<TunnelCounters>& counters() const { return counters_; }

  SaTable::Install add_inbound(std::unique_ptr<InboundSa>& sa) { return inbound_.install(sa); }
  /** Unknown SPIs are ignored: removal is what was wanted. */
  void remove_inbound(uint32_t spi);
  /**
   * Packets from the TUN leave through this SA from now on; returns its counters. Throws SystemError when the process
   * may not send ESP without UDP.
   */
  std::shared_ptr<SaCounters> set_outbound(const SaKeys& keys, Encapsulation encapsulation, const SocketAddress& remote);
  /** The remote end has moved: the outbound SA, if there is one, sends there from now on. */
  void move_outbound(const SocketAddress& remote);
  /** Packets from the TUN are dropped until there is an outbound SA again. */
  void clear_outbound() { replace_outbound(nullptr); }
  void send_ike(uint16_t local_port, const SocketAddress& to, std::span<const uint8_t> message);
  void send_keepalive(const SocketAddress& to);
  void set_carrier(bool up) { tun_.set_carrier(up); }

 private:
  void run();
  bool turn(const char** failed_call);
  bool serve(int fd, uint32_t ready, uint64_t now_ms, const char** failed_call);
  bool transmit(uint64_t now_ms, const char** failed_call);
  bool received(bool good, const char** failed_call);
  void watch_blocked(const DatagramSocket* full);
  void replace_outbound(std::unique_ptr<OutboundSa> sa);
  void wake();
  void count_send(int error);

  const std::shared_ptr<TunnelCounters> counters_;
  TunnelObserver& observer_;
  TunDevice tun_;
  UdpSocket ike_socket_;
  UdpSocket nat_socket_;
  std::optional<RawEspSocket> esp_socket_;  // none without CAP_NET_RAW
  PathWatch path_;
  Arena arena_;
  SaTable inbound_;
  std::atomic<OutboundSa*> outbound_{nullptr};
  Retired<InboundSa> retired_inbound_;
  Retired<OutboundSa> retired_outbound_;
  Transmitter transmitter_;
  Receiver receiver_;
  FileDescriptor wake_;
  FileDescriptor poll_;
  const DatagramSocket* full_ = nullptr;  // the socket whose room is waited for
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace tunwright
