#pragma once
#include <cstddef>
#include <cstdint>

#include "aes_gcm.hpp"
#include "virtio_header.hpp"

namespace tunwright {

/**
 * Turns what the kernel hands over on a TUN with offloads into packets as they go on a wire: completes a partial
 * checksum, and cuts a TCP or UDP super-packet (TSO, USO) into segments.
 *
 * Segments are built in place: the headers of segment n are written in front of its payload, over the payload of
 * segment n - 1, which the caller has consumed by then. So each packet is one contiguous piece and no payload moves.
 */
class Segmenter {
 public:
  struct Packet {
    uint8_t* data;
    size_t length;
    /** Its TCP or UDP checksum, when that is left to whoever seals it; valid like the packet. */
    const LateChecksum* late = nullptr;
  };

  /** Starts on the `length` octets at `packet`. False when header and packet contradict each other. */
  bool start(const VirtioHeader& header, uint8_t* packet, size_t length);

  /** Largest packet that next() will give. */
  size_t largest() const;
  /** How many packets next() will give, right after start(). */
  size_t count() const;
  /** Right after start(): the segments' TCP and UDP checksums are made later. */
  void leave_checksums() { leaves_checksums_ = l4_offset_ % 2 == 0; }

  /** Gives the next packet, valid until the next call; false when there is no more. */
  bool next(Packet& packet);

 private:
  bool start_segments(const VirtioHeader& header);
  void write_headers(uint8_t* at, size_t payload, bool first, bool last);

  // The longest header chain worth segmenting: IPv6, some extension headers and TCP with all options.
  static constexpr size_t kHeaderMax = 192;

  uint8_t* packet_ = nullptr;
  size_t length_ = 0;
  size_t gso_size_ = 0;  // 0: a single packet
  size_t position_ = 0;  // octets of packet_ consumed
  size_t header_length_ = 0;
  size_t l4_offset_ = 0;
  bool ipv4_ = false;
  bool udp_ = false;
  uint16_t ipv4_id_ = 0;
  uint32_t tcp_sequence_ = 0;
  uint8_t tcp_flags_ = 0;
  uint64_t ipv4_sum_ = 0;    // IPv4 header without total length, id, checksum
  uint64_t pseudo_sum_ = 0;  // pseudo-header without length
  bool leaves_checksums_ = false;
  LateChecksum late_{};
  uint8_t headers_[kHeaderMax];
};

}  // namespace tunwright
