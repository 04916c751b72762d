#pragma once
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "../core/coalescer.hpp"
#include "../core/counters.hpp"
#include "../core/sa_table.hpp"
#include "arena.hpp"
#include "tun_linux.hpp"
#include "udp_linux.hpp"

namespace tunwright {

/** What the tunnel's thread tells the rest of the program. Called on that thread: copy and return. */
class TunnelObserver {
 public:
  virtual ~TunnelObserver() = default;
  /** An IKE message; `message` is valid during the call. False when there is no room for it. */
  virtual bool on_ike(uint16_t local_port, const SocketAddress& from, std::span<const uint8_t> message) noexcept = 0;
  /** The tunnel moves no more packets. */
  virtual void on_failed(int code, const char* call) noexcept = 0;
};

/**
 * UDP → ESP → TUN, and IKE messages to the observer. Datagram trains (UDP_GRO) are taken apart, each packet is decrypted
 * to where it continues a super-packet, and super-packets are written to the TUN when the batch is done. Runs on the
 * tunnel's thread only.
 */
class Receiver : private FrameSink {
 public:
  static constexpr size_t kMessages = 8;
  static constexpr size_t kMessageBuffer = 65536;
  static constexpr size_t kArena =
      kMessages * (kMessageBuffer + 256) + Coalescer::kFlows * (Coalescer::kBuffer + 256);

  Receiver(const TunDevice& tun, const UdpSocket& nat_socket, const UdpSocket& ike_socket, size_t mtu, const SaTable& table,
           TunnelCounters& counters, TunnelObserver& observer, Arena& arena);

  /** Takes a bounded number of datagrams from port 4500. False when the TUN refused for good: see error(). */
  bool drain_nat(uint64_t now_ms);
  /** Takes a bounded number of IKE messages from port 500. */
  void drain_ike();

  int error() const { return error_; }

 private:
  int receive(int fd);
  void demultiplex(const SocketAddress& from, uint8_t* datagram, size_t length, uint64_t now_ms);
  void deliver_ike(uint16_t port, const SocketAddress& from, std::span<const uint8_t> message);
  void open(const uint8_t* packet, size_t length, uint64_t now_ms);
  size_t open_to(uint8_t* inner, InboundSa& sa, const uint8_t* packet, size_t length, uint64_t now_ms);
  void count_drop(InboundSa& sa, EspVerdict verdict);
  void write_frame(const uint8_t* frame, size_t length, size_t packets) override;

  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
  };

  const int tun_fd_;
  const UdpSocket& nat_socket_;
  const UdpSocket& ike_socket_;
  const size_t mtu_;
  const SaTable& table_;
  TunnelCounters& counters_;
  TunnelObserver& observer_;
  std::array<mmsghdr, kMessages> messages_{};
  std::array<iovec, kMessages> parts_{};
  std::array<SocketAddress, kMessages> sources_{};
  std::array<Control, kMessages> controls_{};
  Coalescer coalescer_;
  int error_ = 0;
};

}  // namespace tunwright
