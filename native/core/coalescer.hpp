#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "virtio_header.hpp"

namespace tunwright {

/** Takes what goes to the TUN: a VirtioHeader followed by a packet or super-packet. */
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  /** `packets`: how many the frame stands for. */
  virtual void write_frame(const uint8_t* frame, size_t length, size_t packets) = 0;
};

/**
 * Joins packets of one TCP or UDP flow to super-packets, so that the kernel handles 64 of them in one go. Cutting a
 * super-packet gives back exactly the packets it was made of, and packets of one flow never change places: only what
 * continues its flow seamlessly, with verified checksums, is joined; anything else first closes what it could overtake.
 *
 * To save the copy, a packet is decrypted where its payload would end up if it continued the flow of the one before:
 * 1. landing() gives that place and saves the octets that the packet's headers will cover;
 * 2. accept() looks whether the guess was right and puts the saved octets back; a packet guessed wrong is copied once;
 *    or discard(), when there was no good packet.
 */
class Coalescer {
 public:
  static constexpr size_t kFlows = 8;
  static constexpr size_t kBuffer = 66560;

  /** `buffers`: kFlows buffers of kBuffer octets. `join_udp`: the kernel takes UDP super-packets. */
  Coalescer(const std::array<uint8_t*, kFlows>& buffers, bool join_udp, FrameSink& sink);

  /** Where to put the next packet; up to `size` octets may be written there. */
  uint8_t* landing(size_t size);
  /** An IP packet of `length` octets, as its own header says, is at the landing. `sum`: of all its octets, if known; not folded. */
  void accept(size_t length, std::optional<uint64_t> sum = {});
  /** What was written at the landing is no packet. */
  void discard();
  /** Writes everything that is still open. */
  void flush();

 private:
  static constexpr size_t kHeadroom = 64;
  static constexpr size_t kHeadersMax = 100;  // IPv6 and TCP with all options
  static constexpr size_t kSegmentsMax = 64;
  static constexpr size_t kLengthMax = 65000;
  static constexpr size_t kNone = kFlows;

  /** What a packet is to its flow. */
  struct Candidate {
    bool identified = false;  // it has a 5-tuple
    bool joinable = false;    // it may be part of a super-packet, and its checksums are right
    bool ipv4 = false;
    bool udp = false;
    bool last = false;  // TCP PSH: nothing follows it in a super-packet
    size_t l4 = 0;      // offset of the TCP or UDP header
    size_t headers = 0;
    size_t payload = 0;
  };

  /** An open super-packet; the first packet's headers are those of all. */
  struct Flow {
    uint8_t* start = nullptr;
    size_t count = 0;  // packets; 0: the slot is free
    bool ipv4 = false;
    bool udp = false;
    bool push = false;
    size_t l4 = 0;
    size_t headers = 0;
    size_t segment = 0;  // payload of every packet but perhaps the last
    size_t payload = 0;  // of all packets
  };

  Candidate inspect(const uint8_t* packet, size_t length, std::optional<uint64_t> sum) const;
  static bool verified(const uint8_t* packet, size_t length, const Candidate& candidate, std::optional<uint64_t> sum);
  static bool same_flow(const Flow& flow, const uint8_t* packet, const Candidate& candidate);
  static bool continues(const Flow& flow, const uint8_t* packet, const Candidate& candidate);
  void place(uint8_t* packet, size_t length, const Candidate& candidate);
  size_t find(const uint8_t* packet, const Candidate& candidate) const;
  void open(const Candidate& candidate);
  void append(size_t index, const Candidate& candidate);
  void close(size_t index);
  void write_single(uint8_t* packet, size_t length, bool checked);
  void choose_spare();

  const bool join_udp_;
  FrameSink& sink_;
  std::array<Flow, kFlows> flows_{};
  size_t spare_ = 0;        // a free slot: where packets land that continue nothing
  size_t current_ = kNone;  // the flow that the next packet is guessed to continue
  bool guessed_ = false;    // the landing is the tail of current_
  uint8_t* landing_ = nullptr;
  uint8_t saved_[kHeadersMax];
};

}  // namespace tunwright
