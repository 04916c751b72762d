#include "transmitter.hpp"

#include <unistd.h>

#include <cerrno>

#include "../core/ecn.hpp"
#include "../core/ip_packet.hpp"
#include "../core/mss.hpp"
#include "capture_mark.hpp"
#include "udp_linux.hpp"

namespace tunwright {

namespace {

constexpr int kReadsPerTurn = 64;

}  // namespace

Transmitter::Transmitter(int tun_fd, size_t lane, const PathWatch& path, bool copy_dscp, TunnelCounters& counters, Arena& arena)
    : tun_fd_(tun_fd),
      lane_(lane),
      path_(path),
      copy_dscp_(copy_dscp),
      counters_(counters),
      buffer_(arena.take(kReadBuffer)),
      queue_(counters, arena) {}

Transmitter::Outcome Transmitter::drain(OutboundSa* sa, uint64_t now_ms) {
  if (sa != nullptr && !queue_.depart_through(sa->lanes[lane_]->departure())) return Outcome::blocked;
  for (int reads = 0; reads < kReadsPerTurn; reads++) {
    if (!queue_.make_room()) return Outcome::blocked;
    const ssize_t length = ::read(tun_fd_, buffer_, kReadBuffer - kEspTrailerMax);
    if (length < 0) {
      if (errno == EINTR) continue;
      error_ = errno;
      if (error_ != EAGAIN) return Outcome::failed;
      return flush() ? Outcome::drained : Outcome::blocked;
    }
    if (sa == nullptr) {
      counters_.tx_drop_no_sa.add_shared(1);
      continue;
    }
    forward(*sa, buffer_, static_cast<size_t>(length), now_ms);
  }
  return flush() ? Outcome::more : Outcome::blocked;
}

/**
 * 1. Make the kernel's frame a whole packet, or begin to cut it.
 * 2. What the path cannot carry although the device let it in (its MTU has just shrunk): fragment or tell the sender.
 * 3. Seal each packet. The kernel, which routed it, has decremented the TTL; the tunnel is a link and does not again.
 */
void Transmitter::forward(OutboundSa& sa, uint8_t* frame, size_t length, uint64_t now_ms) {
  VirtioHeader header;
  if (length <= sizeof header) return counters_.tx_drop_malformed.add_shared(1);
  std::memcpy(&header, frame, sizeof header);
  uint8_t* packet = frame + sizeof header;
  length -= sizeof header;
  const uint8_t next_header = ip_next_header(packet);
  const size_t mtu = path_.inner_mtu();
  if (next_header == 0 || length < kIpv4Header) return counters_.tx_drop_malformed.add_shared(1);
  const uint8_t outer_class = outer_traffic_class(traffic_class(packet), copy_dscp_);
  Course course{sa.lanes[lane_]->sealer, *sa.counters, next_header, outer_class, mtu};
  if (header.gso_type == VirtioHeader::kGsoNone) {
    const bool partial = (header.flags & VirtioHeader::kNeedsChecksum) != 0;
    clamp_mss(packet, length, mtu, partial ? L4Checksum::partial : L4Checksum::complete);
  }
  if (!segmenter_.start(header, packet, length)) return counters_.tx_drop_malformed.add_shared(1);
  const bool fits = segmenter_.largest() <= mtu;
  if (!fits && !may_fragment(packet)) return refuse(course, now_ms);
  if (fits) course.sealer.reserve(segmenter_.count());
  if (fits && course.sealer.sums()) segmenter_.leave_checksums();
  for (Segmenter::Packet piece; segmenter_.next(piece);) fits ? seal(course, piece) : fragment(course, piece);
  count(sa, course, now_ms);
}

/** One answer for a super-packet: its packets have one sender, and that one knows then. */
void Transmitter::refuse(const Course& course, uint64_t now_ms) {
  Segmenter::Packet packet;
  if (!segmenter_.next(packet)) return;
  IcmpError error;
  packet_too_big(packet.data, packet.length, course.mtu, error);
  icmp_.send(error, now_ms);
  do {
    counters_.tx_drop_too_big.add_shared(1);
    course.counters.drop_too_big.add_shared(1);
  } while (segmenter_.next(packet));
}

void Transmitter::fragment(Course& course, const Segmenter::Packet& packet) {
  if (!fragmenter_.start(packet.data, packet.length, course.mtu)) return counters_.tx_drop_malformed.add_shared(1);
  for (Segmenter::Packet piece; fragmenter_.next(piece);) seal(course, piece);
}

void Transmitter::seal(Course& course, const Segmenter::Packet& packet) {
  if (course.sealer.exhausted()) return counters_.tx_drop_sequence.add_shared(1);
  uint8_t* place = queue_.claim(esp_size(packet.length), course.traffic_class);
  if (place == nullptr) {
    course.counters.drop_queue.add_shared(1);
    return counters_.tx_drop_send.add_shared(1);
  }
  const size_t sealed = course.sealer.seal(packet.data, packet.length, course.next_header, place, packet.late);
  if (sealed == 0) return counters_.tx_drop_malformed.add_shared(1);
  record(packet, {place, sealed});
  queue_.append(sealed, course.traffic_class);
  course.packets++;
  course.bytes += packet.length;
}

void Transmitter::record(const Segmenter::Packet& packet, std::span<const uint8_t> sealed) {
  if (taps_.inner != nullptr) [[unlikely]] taps_.inner->record(inner_mark(true), {}, {packet.data, packet.length});
  if (taps_.outer == nullptr) [[likely]] return;
  const Departure& departure = queue_.departure();
  const bool udp = departure.encapsulation == Encapsulation::udp;
  taps_.outer->record(outer_mark(true, udp ? kNatPort : 0, departure.remote), {}, sealed);
}

/** Once for all packets of a frame: other threads count here, too. */
void Transmitter::count(OutboundSa& sa, const Course& course, uint64_t now_ms) {
  if (course.packets == 0) return;
  counters_.tx_packets.add_shared(course.packets);
  counters_.tx_bytes.add_shared(course.bytes);
  sa.counters->packets.add_shared(course.packets);
  sa.counters->bytes.add_shared(course.bytes);
  sa.counters->sequence.set(sa.numbers.last());
  sa.counters->last_used_ms.set(now_ms);
}

}  // namespace tunwright
