#include "transmitter.hpp"

#include <netinet/udp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "../core/ip_packet.hpp"

namespace tunwright {

namespace {

constexpr int kUdpSegment = 103;  // Linux 4.18; missing in some build machines' headers
constexpr int kReadsPerTurn = 64;

}  // namespace

Transmitter::Transmitter(int tun_fd, const UdpSocket& socket, size_t mtu, TunnelCounters& counters, Arena& arena)
    : tun_fd_(tun_fd),
      socket_(socket),
      mtu_(mtu),
      counters_(counters),
      buffer_(arena.take(kReadBuffer)),
      segmentation_(socket.segmentation()) {
  for (Train& train : trains_) train = Train(arena.take(Train::kCapacity));
}

Transmitter::Outcome Transmitter::drain(OutboundSa* sa, uint64_t now_ms) {
  for (int reads = 0; reads < kReadsPerTurn; reads++) {
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
  Train* train = train_for(esp_size(packet.length));
  if (train == nullptr) return counters_.tx_drop_send.add_shared(1);
  const size_t sealed = sa.sealer.seal(packet.data, packet.length, next_header, train->tail());
  if (sealed == 0) return counters_.tx_drop_malformed.add(1);
  train->append(sealed);
  destination_ = sa.remote;
  counters_.tx_packets.add(1);
  counters_.tx_bytes.add(packet.length);
  sa.counters->packets.add(1);
  sa.counters->bytes.add(packet.length);
  sa.counters->sequence.set(sa.sealer.sequence());
}

/** The train that a packet of `size` octets joins; null when all are full and the socket takes none. */
Train* Transmitter::train_for(size_t size) {
  if (used_ > 0 && segmentation_ && trains_[used_ - 1].accepts(size)) return &trains_[used_ - 1];
  if (used_ == kTrains && !flush()) return nullptr;
  return &trains_[used_++];
}

bool Transmitter::flush() {
  size_t sent = 0;
  while (sent < used_) {
    const size_t step = send_trains(sent);
    if (step == 0) break;
    sent += step;
  }
  for (size_t i = 0; i < sent; i++) trains_[i].clear();
  std::rotate(trains_.begin(), trains_.begin() + static_cast<ptrdiff_t>(sent), trains_.begin() + static_cast<ptrdiff_t>(used_));
  used_ -= sent;
  return used_ == 0;
}

/** Gives trains from `first` on to the kernel. Returns how many are done with, sent or dropped; 0 when it is full. */
size_t Transmitter::send_trains(size_t first) {
  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
  };
  std::array<mmsghdr, kTrains> messages{};
  std::array<iovec, kTrains> parts{};
  std::array<Control, kTrains> controls{};
  const bool to_peer = socket_.peer() && *socket_.peer() == destination_;
  for (size_t i = first; i < used_; i++) {
    const Train& train = trains_[i];
    msghdr& message = messages[i].msg_hdr;
    parts[i] = {train.data(), train.length()};
    message.msg_iov = &parts[i];
    message.msg_iovlen = 1;
    if (!to_peer) {
      message.msg_name = destination_.get();
      message.msg_namelen = destination_.length();
    }
    if (train.packets() > 1) {
      message.msg_control = controls[i].bytes;
      message.msg_controllen = sizeof controls[i].bytes;
      cmsghdr* control = CMSG_FIRSTHDR(&message);
      control->cmsg_level = IPPROTO_UDP;
      control->cmsg_type = kUdpSegment;
      control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
      const uint16_t segment = static_cast<uint16_t>(train.segment());
      std::memcpy(CMSG_DATA(control), &segment, sizeof segment);
    }
  }
  // An ICMP error about an earlier datagram is reported in place of a send: clear it by trying once more.
  for (int attempt = 0; attempt < 2; attempt++) {
    const int sent = ::sendmmsg(socket_.fd(), &messages[first], static_cast<unsigned>(used_ - first), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) return static_cast<size_t>(sent);
    if (errno != ECONNREFUSED && errno != EINTR) break;
  }
  if (errno == EAGAIN) return 0;
  drop(trains_[first], errno);
  return 1;
}

void Transmitter::drop(const Train& train, int error) {
  // The device cannot segment (no checksum offload): from now on one packet per message.
  if (error == EIO && train.packets() > 1) segmentation_ = false;
  // EINVAL is how kernels before 6.8 say that a segment exceeds the path MTU.
  const bool too_big = error == EMSGSIZE || (error == EINVAL && train.packets() > 1);
  if (too_big)
    counters_.tx_drop_too_big.add(train.packets());
  else
    counters_.tx_drop_send.add_shared(train.packets());
}

}  // namespace tunwright
