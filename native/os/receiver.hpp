#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "../core/capture.hpp"
#include "../core/coalescer.hpp"
#include "../core/counters.hpp"
#include "../core/sa_table.hpp"
#include "arena.hpp"
#include "message_batch.hpp"
#include "path_watch.hpp"
#include "raw_esp_linux.hpp"
#include "tun_linux.hpp"
#include "udp_linux.hpp"

namespace tunwright {

/** What a tunnel's threads tell the rest of the program. Called on those threads: copy and return. */
class TunnelObserver {
 public:
  virtual ~TunnelObserver() = default;
  /** An IKE message; `message` is valid during the call. False when there is no room for it. */
  virtual bool on_ike(uint16_t local_port, const SocketAddress& from, std::span<const uint8_t> message) noexcept = 0;
  /** The tunnel's MTU follows the path's; octets. */
  virtual void on_mtu(size_t inner, size_t path) noexcept = 0;
  /** The tunnel moves no more packets. */
  virtual void on_failed(int code, const char* call) noexcept = 0;
};

/**
 * Network → ESP → TUN, and IKE messages to the observer. ESP may come in UDP and right on IP at any time, whatever we send
 * (RFC 7296 §2.23). Datagram trains (UDP_GRO) are taken apart, each packet is decrypted to where it continues a
 * super-packet, and super-packets are written to the TUN when the batch is done. Used by one thread.
 */
class Receiver : private FrameSink {
 public:
  static constexpr size_t kTrains = 8;
  static constexpr size_t kTrainBuffer = 65536;
  // Datagrams that come one by one are smaller than trains, and more of them fit into the same memory.
  static constexpr size_t kDatagrams = 32;
  static constexpr size_t kDatagramBuffer = kTrains * kTrainBuffer / kDatagrams;
  static constexpr size_t kArena =
      kTrains * kTrainBuffer + 256 + Coalescer::kFlows * (Coalescer::kBuffer + 256);

  Receiver(const TunDevice& tun, const PathWatch& path, const SaTable& table, TunnelCounters& counters, TunnelObserver& observer,
           Arena& arena);

  /** Takes a bounded number of datagrams from port 4500. False when the TUN refused for good: see error(). */
  bool drain_nat(const UdpSocket& socket, uint64_t now_ms);
  /** The same for ESP without UDP. */
  bool drain_esp(const RawEspSocket& socket, uint64_t now_ms);
  /** Takes a bounded number of IKE messages from port 500. */
  void drain_ike(const UdpSocket& socket);

  int error() const { return error_; }

  /** Where packets are recorded from now on. */
  void tap(const CaptureTaps& taps) { taps_ = taps; }

 private:
  /** What came with each datagram of a message. */
  struct Arrival {
    const SocketAddress& from;
    uint8_t traffic_class;
    uint64_t now_ms;
  };

  void demultiplex(const Arrival& arrival, uint8_t* datagram, size_t length);
  void record_outer(uint16_t port, const SocketAddress& from, std::span<const uint8_t> datagram);
  void deliver_ike(uint16_t port, const SocketAddress& from, std::span<const uint8_t> message);
  void open(const Arrival& arrival, const uint8_t* packet, size_t length);
  /** What was inside an ESP packet. */
  struct Inner {
    size_t length = 0;                // of the IP packet; 0: nothing is to be delivered
    std::optional<uint64_t> sum = {};  // of its octets, where the cipher made it
  };

  Inner open_to(uint8_t* to, InboundSa& sa, const uint8_t* packet, size_t length, uint64_t now_ms);
  void count_drop(InboundSa& sa, EspVerdict verdict);
  void write_frame(const uint8_t* frame, size_t length, size_t packets) override;

  const int tun_fd_;
  const PathWatch& path_;
  const SaTable& table_;
  TunnelCounters& counters_;
  TunnelObserver& observer_;
  uint8_t* const buffer_;
  MessageBatch trains_;
  MessageBatch datagrams_;  // in the same memory
  Coalescer coalescer_;
  CaptureTaps taps_;
  int error_ = 0;
};

}  // namespace tunwright
