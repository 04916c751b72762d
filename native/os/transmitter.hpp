#pragma once
#include <cstddef>
#include <cstdint>

#include "../core/capture.hpp"
#include "../core/counters.hpp"
#include "../core/fragmenter.hpp"
#include "../core/segmenter.hpp"
#include "arena.hpp"
#include "icmp_sender.hpp"
#include "outbound_sa.hpp"
#include "path_watch.hpp"
#include "train_queue.hpp"

namespace tunwright {

/**
 * TUN → ESP → network. A super-packet is read, cut in place and sealed segment by segment straight into trains; trains go
 * out together when the TUN is drained or all are full. One for each thread that sends, which alone uses it.
 */
class Transmitter {
 public:
  static constexpr size_t kReadBuffer = sizeof(VirtioHeader) + 65536 + 64;
  static constexpr size_t kArena = TrainQueue::kArena + kReadBuffer + 256;

  /** `lane`: which of an outbound SA's lanes is this thread's. */
  Transmitter(int tun_fd, size_t lane, const PathWatch& path, bool copy_dscp, TunnelCounters& counters, Arena& arena);

  enum class Outcome : uint8_t { drained, more, blocked, failed };
  /**
   * Moves a bounded number of packets. `sa` may be null: then packets are dropped and counted. `more`: the bound was
   * reached. `blocked`: the socket is full, nothing is read until flush() succeeds. `failed`: see error().
   */
  Outcome drain(OutboundSa* sa, uint64_t now_ms);

  /** Sends what is waiting; false while the socket is full. */
  bool flush() { return queue_.flush(); }

  /** Whether, since the last call, the kernel has called a packet too big for the path. */
  bool take_path_suspect() { return queue_.take_path_suspect(); }

  /** Where packets are recorded from now on. */
  void tap(const CaptureTaps& taps) { taps_ = taps; }

  /** The socket that was full. */
  const DatagramSocket* socket() const { return queue_.departure().socket; }

  /** errno of the read that failed. */
  int error() const { return error_; }

 private:
  /** What the packets cut from one frame have in common, and how many of them have been sealed. */
  struct Course {
    EspSealer& sealer;
    SaCounters& counters;  // of the SA
    uint8_t next_header;
    uint8_t traffic_class;
    size_t mtu;
    uint64_t packets = 0;
    uint64_t bytes = 0;
  };

  void forward(OutboundSa& sa, uint8_t* frame, size_t length, uint64_t now_ms);
  void refuse(const Course& course, uint64_t now_ms);
  void record(const Segmenter::Packet& packet, std::span<const uint8_t> sealed);
  void count(OutboundSa& sa, const Course& course, uint64_t now_ms);
  void fragment(Course& course, const Segmenter::Packet& packet);
  void seal(Course& course, const Segmenter::Packet& packet);

  const int tun_fd_;
  const size_t lane_;
  const PathWatch& path_;
  const bool copy_dscp_;
  TunnelCounters& counters_;
  uint8_t* const buffer_;
  Segmenter segmenter_;
  Fragmenter fragmenter_;
  IcmpSender icmp_;
  TrainQueue queue_;
  CaptureTaps taps_;
  int error_ = 0;
};

}  // namespace tunwright
