#pragma once
#include <cstddef>
#include <cstdint>

#include "segmenter.hpp"

namespace tunwright {

/** IPv4 packets without DF may be cut by every router on their way. `length` is at least an IPv4 header. */
bool may_fragment(const uint8_t* packet);

/**
 * Cuts an IPv4 packet into fragments as a router does, RFC 791 §3.2: payload in multiples of eight octets, options marked
 * "copied" in each, all others in the first only. A fragment is cut further the same way.
 *
 * Like segments, fragments are built in place: each header is written over payload that has left already.
 */
class Fragmenter {
 public:
  /** Starts on the packet; false when it is malformed, belongs to a datagram beyond 65,535 octets, or `mtu` leaves no room for payload. */
  bool start(uint8_t* packet, size_t length, size_t mtu);

  /** Gives the next fragment, valid until the next call; false when there is no more. */
  bool next(Segmenter::Packet& fragment);

 private:
  static constexpr size_t kHeaderMax = 60;

  void keep_copied_options(const uint8_t* first);

  uint8_t* packet_ = nullptr;
  size_t length_ = 0;
  size_t mtu_ = 0;
  size_t position_ = 0;       // octets of packet_ that have left
  size_t offset_ = 0;         // of the payload at position_, in octets of the original packet
  bool more_ = false;         // the packet itself was not the last fragment
  size_t header_length_ = 0;  // of the next fragment
  uint8_t header_[kHeaderMax];
};

}  // namespace tunwright
