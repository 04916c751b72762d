#include "transmitter.hpp"

#include <unistd.h>

#include <cerrno>

#include "../core/ip_packet.hpp"

namespace tunwright {

namespace {

constexpr int kReadsPerTurn = 64;

}  // namespace

Transmitter::Transmitter(int tun_fd, size_t mtu, TunnelCounters& counters, Arena& arena)
    : tun_fd_(tun_fd), mtu_(mtu), counters_(counters), buffer_(arena.take(kReadBuffer)), queue_(counters, arena) {}

Transmitter::Outcome Transmitter::drain(OutboundSa* sa, uint64_t now_ms) {
  if (sa != nullptr && !queue_.depart_through(sa->departure())) return Outcome::blocked;
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
      counters_.tx_drop_no_sa.add(1);
      continue;
    }
    sa->counters->last_used_ms.set(now_ms);
    forward(*sa, buffer_, static_cast<size_t>(length));
  }
  return flush() ? Outcome::more : Outcome::blocked;
}

void Transmitter::forward(OutboundSa& sa, uint8_t* frame, size_t length) {
  VirtioHeader header;
  if (length <= sizeof header) return counters_.tx_drop_malformed.add(1);
  std::memcpy(&header, frame, sizeof header);
  uint8_t* packet = frame + sizeof header;
  length -= sizeof header;
  const uint8_t next_header = ip_next_header(packet);
  if (next_header == 0) return counters_.tx_drop_malformed.add(1);
  if (header.gso_type == VirtioHeader::kGsoNone) {
    const bool partial = (header.flags & VirtioHeader::kNeedsChecksum) != 0;
    clamp_mss(packet, length, mtu_, partial ? L4Checksum::partial : L4Checksum::complete);
  }
  if (!segmenter_.start(header, packet, length)) return counters_.tx_drop_malformed.add(1);
  if (segmenter_.largest() > mtu_) return counters_.tx_drop_too_big.add(1);
  for (Segmenter::Packet piece; segmenter_.next(piece);) seal(sa, piece, next_header);
}

void Transmitter::seal(OutboundSa& sa, const Segmenter::Packet& packet, uint8_t next_header) {
  if (sa.sealer.exhausted()) return counters_.tx_drop_sequence.add(1);
  uint8_t* place = queue_.claim(esp_size(packet.length));
  if (place == nullptr) return counters_.tx_drop_send.add_shared(1);
  const size_t sealed = sa.sealer.seal(packet.data, packet.length, next_header, place);
  if (sealed == 0) return counters_.tx_drop_malformed.add(1);
  queue_.append(sealed);
  counters_.tx_packets.add(1);
  counters_.tx_bytes.add(packet.length);
  sa.counters->packets.add(1);
  sa.counters->bytes.add(packet.length);
  sa.counters->sequence.set(sa.sealer.sequence());
}

}  // namespace tunwright
