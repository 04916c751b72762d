#pragma once
#include <cstddef>
#include <cstdint>

#include "../core/counters.hpp"
#include "../core/segmenter.hpp"
#include "arena.hpp"
#include "outbound_sa.hpp"
#include "train_queue.hpp"

namespace tunwright {

/**
 * TUN → ESP → network. A super-packet is read, cut in place and sealed segment by segment straight into trains; trains go
 * out together when the TUN is drained or all are full. Runs on the tunnel's thread only.
 */
class Transmitter {
 public:
  static constexpr size_t kReadBuffer = sizeof(VirtioHeader) + 65536 + 64;
  static constexpr size_t kArena = TrainQueue::kArena + kReadBuffer + 256;

  Transmitter(int tun_fd, size_t mtu, TunnelCounters& counters, Arena& arena);

  enum class Outcome : uint8_t { drained, more, blocked, failed };
  /**
   * Moves a bounded number of packets. `sa` may be null: then packets are dropped and counted. `more`: the bound was
   * reached. `blocked`: the socket is full, nothing is read until flush() succeeds. `failed`: see error().
   */
  Outcome drain(OutboundSa* sa, uint64_t now_ms);

  /** Sends what is waiting; false while the socket is full. */
  bool flush() { return queue_.flush(); }

  /** The socket that was full. */
  const DatagramSocket* socket() const { return queue_.socket(); }

  /** errno of the read that failed. */
  int error() const { return error_; }

 private:
  void forward(OutboundSa& sa, uint8_t* frame, size_t length);
  void seal(OutboundSa& sa, const Segmenter::Packet& packet, uint8_t next_header);

  const int tun_fd_;
  const size_t mtu_;
  TunnelCounters& counters_;
  uint8_t* const buffer_;
  Segmenter segmenter_;
  TrainQueue queue_;
  int error_ = 0;
};

}  // namespace tunwright
