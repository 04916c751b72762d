#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "packet_thread.hpp"
#include "tunnel_parts.hpp"

namespace tunwright {

/**
 * One tunnel: a TUN device, UDP ports 500 and 4500, IP protocol 50, and the threads that move packets between them.
 *
 * SAs are installed and removed from one other thread while packets flow. Packet threads read them through atomic
 * pointers; what is taken out is destroyed once each of them has passed the top of its loop, where it holds none.
 */
class Tunnel {
 public:
  /** Opens everything and starts the threads. Throws SystemError. `observer` outlives the tunnel. */
  Tunnel(const TunnelOptions& options, TunnelObserver& observer);
  /** Zeroises keys, closes device and sockets: the kernel takes tens of milliseconds to take a device away. */
  ~Tunnel() { stop(); }
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  /** Ends the threads, which takes as long as a turn of their loops: no packet moves and no observer is called any more. */
  void stop();

  int interface_index() const { return parts_.tun.index(); }
  const std::shared_ptr<TunnelCounters>& counters() const { return parts_.counters; }

  SaTable::Install add_inbound(std::unique_ptr<InboundSa>& sa) { return parts_.inbound.install(sa); }
  /** Unknown SPIs are ignored: removal is what was wanted. */
  void remove_inbound(uint32_t spi);
  /**
   * Packets from the TUN leave through this SA from now on, and the device has carrier; returns the SA's counters. Throws
   * SystemError when the process may not send ESP without UDP, or when somebody else has deleted the device.
   * `next_sequence`: where an SA goes on that has been used before.
   */
  std::shared_ptr<SaCounters> set_outbound(const SaKeys& keys, uint64_t next_sequence, Encapsulation encapsulation,
                                           const SocketAddress& remote);
  /** The remote end has moved: the outbound SA, if there is one, sends there from now on. */
  void move_outbound(const SocketAddress& remote);
  /** The device loses its carrier, and packets from it are dropped, until there is an outbound SA again. Throws SystemError. */
  void clear_outbound() { replace_outbound(nullptr); }
  void send_ike(uint16_t local_port, const SocketAddress& to, std::span<const uint8_t> message);
  void send_keepalive(const SocketAddress& to);

  /**
   * From now on each thread keeps the last `packets` packets of that side, `snap_length` octets of each. Throws EBUSY when
   * there is a capture already, ENOBUFS when all of that is more than kCaptureMax.
   */
  void start_capture(CaptureSide side, size_t packets, size_t snap_length);
  /** Nothing is recorded soon after. */
  void end_capture();
  /** The capture that was ended; null, and to be asked again, while a thread may still be writing. */
  std::unique_ptr<Capture> collect_capture();

 private:
  void start(const TunnelOptions& options);
  void replace_outbound(std::unique_ptr<OutboundSa> sa);
  void wake_all() const;
  void record_sent(uint16_t local_port, const SocketAddress& to, std::span<const uint8_t> head,
                   std::span<const uint8_t> message);
  void count_send(int error);

  TunnelParts parts_;
  std::unique_ptr<Capture> capture_;  // the one that goes on or was ended
  uint64_t capture_ended_ = 0;        // to be passed by all threads
  std::vector<std::unique_ptr<PacketThread>> threads_;
};

}  // namespace tunwright
