#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace tunwright {

/** An ICMP or ICMPv6 message for a raw socket: without IP header, and with the checksum where the kernel adds none. */
struct IcmpError {
  // RFC 1812 §4.3.2.3 and RFC 4443 §2.4: no error makes a packet longer than 576 or 1,280 octets.
  static constexpr size_t kMax = 1280 - 40;

  /** 4 or 16 octets: the sender of the packet. A view of that packet. */
  std::span<const uint8_t> to;
  size_t length = 0;  // 0: RFC 1122 §3.2.2, RFC 1812 §4.3.2.7 or RFC 4443 §2.4 forbids an answer
  uint8_t message[kMax];
};

/**
 * Tells the sender of the IP packet at `packet` that it does not fit `mtu` octets: fragmentation needed (RFC 1191) or
 * packet too big (RFC 4443 §3.2). Never about ICMP errors, later fragments, multicast or what has no single sender.
 */
void packet_too_big(const uint8_t* packet, size_t length, size_t mtu, IcmpError& error);

}  // namespace tunwright
