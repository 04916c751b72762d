#include "receiver.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "../core/bytes.hpp"
#include "../core/ip_packet.hpp"

namespace tunwright {

namespace {

constexpr int kUdpGro = 104;  // Linux 5.0; missing in some build machines' headers
constexpr size_t kNonEspMarker = 4;
constexpr uint8_t kKeepalive = 0xff;

/** Size of the datagrams of a train; `whole` when the message is a single datagram. */
size_t segment_size(msghdr& message, size_t whole) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != kUdpGro) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(control), sizeof size);
    if (size > 0) return static_cast<size_t>(size);
  }
  return whole;
}

std::array<uint8_t*, Coalescer::kFlows> flow_buffers(Arena& arena) {
  std::array<uint8_t*, Coalescer::kFlows> buffers;
  for (uint8_t*& buffer : buffers) buffer = arena.take(Coalescer::kBuffer);
  return buffers;
}

}  // namespace

Receiver::Receiver(const TunDevice& tun, const UdpSocket& nat_socket, const UdpSocket& ike_socket, size_t mtu,
                   const SaTable& table, TunnelCounters& counters, TunnelObserver& observer, Arena& arena)
    : tun_fd_(tun.fd()),
      nat_socket_(nat_socket),
      ike_socket_(ike_socket),
      mtu_(mtu),
      table_(table),
      counters_(counters),
      observer_(observer),
      coalescer_(flow_buffers(arena), tun.udp_segmentation(), *this) {
  for (size_t i = 0; i < kMessages; i++) {
    parts_[i] = {arena.take(kMessageBuffer), kMessageBuffer};
    messages_[i].msg_hdr.msg_iov = &parts_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
    messages_[i].msg_hdr.msg_name = sources_[i].get();
    messages_[i].msg_hdr.msg_control = controls_[i].bytes;
  }
}

/** Fills messages_; returns how many. Errors are about datagrams sent earlier (ICMP) and say nothing here. */
int Receiver::receive(int fd) {
  for (mmsghdr& message : messages_) {
    message.msg_hdr.msg_namelen = SocketAddress::capacity();
    message.msg_hdr.msg_controllen = sizeof(Control);
  }
  const int received = ::recvmmsg(fd, messages_.data(), kMessages, MSG_DONTWAIT, nullptr);
  return std::max(received, 0);
}

bool Receiver::drain_nat(uint64_t now_ms) {
  const int received = receive(nat_socket_.fd());
  for (size_t i = 0; i < static_cast<size_t>(received); i++) {
    uint8_t* data = static_cast<uint8_t*>(parts_[i].iov_base);
    const size_t length = messages_[i].msg_len;
    const size_t step = segment_size(messages_[i].msg_hdr, length);
    for (size_t at = 0; at < length; at += step)
      demultiplex(sources_[i], data + at, std::min(step, length - at), now_ms);
  }
  coalescer_.flush();
  return error_ == 0;
}

void Receiver::drain_ike() {
  const int received = receive(ike_socket_.fd());
  for (size_t i = 0; i < static_cast<size_t>(received); i++)
    deliver_ike(kIkePort, sources_[i], {static_cast<const uint8_t*>(parts_[i].iov_base), messages_[i].msg_len});
}

/** RFC 3948 §2: ESP never has SPI 0, so four zero octets mark IKE; a lone 0xff keeps a NAT mapping alive. */
void Receiver::demultiplex(const SocketAddress& from, uint8_t* datagram, size_t length, uint64_t now_ms) {
  if (length == 1 && datagram[0] == kKeepalive) return counters_.keepalive_rx.add(1);
  if (length < kNonEspMarker) return counters_.rx_drop_malformed.add(1);
  if (load32(datagram) == 0)
    deliver_ike(kNatPort, from, {datagram + kNonEspMarker, length - kNonEspMarker});
  else
    open(datagram, length, now_ms);
}

void Receiver::deliver_ike(uint16_t port, const SocketAddress& from, std::span<const uint8_t> message) {
  counters_.ike_rx.add(1);
  if (!observer_.on_ike(port, from, message)) counters_.ike_drop_queue.add(1);
}

void Receiver::open(const uint8_t* packet, size_t length, uint64_t now_ms) {
  if (length < kEspMin) return counters_.rx_drop_malformed.add(1);
  InboundSa* sa = table_.find(load32(packet));
  if (sa == nullptr) return counters_.rx_drop_no_sa.add(1);
  uint8_t* inner = coalescer_.landing(length - kEspHeader - AesGcm::kTag);
  const size_t inner_length = open_to(inner, *sa, packet, length, now_ms);
  if (inner_length == 0) return coalescer_.discard();
  counters_.rx_packets.add(1);
  counters_.rx_bytes.add(inner_length);
  sa->counters->packets.add(1);
  sa->counters->bytes.add(inner_length);
  clamp_mss(inner, inner_length, mtu_, L4Checksum::complete);
  coalescer_.accept(inner_length);
}

/** Length of the IP packet now at `inner`; 0, and counted, when the packet is not to be delivered. */
size_t Receiver::open_to(uint8_t* inner, InboundSa& sa, const uint8_t* packet, size_t length, uint64_t now_ms) {
  const EspOpener::Opened opened = sa.opener.open(packet, length, inner);
  const bool authentic = opened.verdict == EspVerdict::ok || opened.verdict == EspVerdict::dummy;
  if (!authentic) {
    count_drop(sa, opened.verdict);
    return 0;
  }
  counters_.rx_last_ms.set(now_ms);
  sa.counters->last_used_ms.set(now_ms);
  sa.counters->sequence.set(sa.opener.window().top());
  if (opened.verdict == EspVerdict::dummy) {
    counters_.rx_dummy.add(1);
    return 0;
  }
  const size_t inner_length = ip_length(inner, opened.length, opened.next_header);
  if (inner_length == 0) counters_.rx_drop_malformed.add(1);
  return inner_length;
}

void Receiver::count_drop(InboundSa& sa, EspVerdict verdict) {
  if (verdict == EspVerdict::replayed) {
    counters_.rx_drop_replay.add(1);
    sa.counters->drop_replay.add(1);
  } else if (verdict == EspVerdict::not_authentic) {
    counters_.rx_drop_auth.add(1);
    sa.counters->drop_auth.add(1);
  } else {
    counters_.rx_drop_malformed.add(1);
  }
}

void Receiver::write_frame(const uint8_t* frame, size_t length, size_t packets) {
  if (::write(tun_fd_, frame, length) >= 0) return;
  counters_.rx_drop_tun.add(packets);
  if (errno == EBADFD) error_ = errno;  // the device was deleted
}

}  // namespace tunwright
