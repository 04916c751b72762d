#pragma once
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "../core/counters.hpp"
#include "../core/segmenter.hpp"
#include "../core/train.hpp"
#include "arena.hpp"
#include "outbound_sa.hpp"
#include "udp_linux.hpp"

namespace tunwright {

/**
 * TUN → ESP → UDP. A super-packet is read, cut in place and sealed segment by segment straight into trains; trains go
 * out together when the TUN is drained or all are full. Runs on the tunnel's thread only.
 */
class Transmitter {
 public:
  static constexpr size_t kTrains = 16;
  static constexpr size_t kReadBuffer = sizeof(VirtioHeader) + 65536 + 64;
  static constexpr size_t kArena = kTrains * (Train::kCapacity + 256) + kReadBuffer + 256;

  Transmitter(int tun_fd, const UdpSocket& socket, size_t mtu, TunnelCounters& counters, Arena& arena);

  enum class Outcome : uint8_t { drained, more, blocked, failed };
  /**
   * Moves a bounded number of packets. `sa` may be null: then packets are dropped and counted. `more`: the bound was
   * reached. `blocked`: the socket is full, nothing is read until flush() succeeds. `failed`: see error().
   */
  Outcome drain(OutboundSa* sa, uint64_t now_ms);

  /** Sends what is waiting; false while the socket is full. */
  bool flush();

  /** errno of the read that failed. */
  int error() const { return error_; }

 private:
  void forward(OutboundSa& sa, uint8_t* frame, size_t length);
  void seal(OutboundSa& sa, const Segmenter::Packet& packet, uint8_t next_header);
  Train* train_for(size_t size);
  size_t send_trains(size_t first);
  void drop(const Train& train, int error);

  const int tun_fd_;
  const UdpSocket& socket_;
  const size_t mtu_;
  TunnelCounters& counters_;
  uint8_t* const buffer_;
  Segmenter segmenter_;
  std::array<Train, kTrains> trains_;
  size_t used_ = 0;           // trains that hold packets
  SocketAddress destination_;  // of all of them
  bool segmentation_;  // without it each train holds one packet
  int error_ = 0;
};

}  // namespace tunwright
