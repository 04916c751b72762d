#include "receiver.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "../core/bytes.hpp"
#include "../core/ecn.hpp"
#include "../core/ip_packet.hpp"
#include "../core/mss.hpp"
#include "capture_mark.hpp"

namespace tunwright {

namespace {

constexpr size_t kNonEspMarker = 4;
constexpr size_t kSpi = 4;
constexpr uint8_t kKeepalive = 0xff;

std::array<uint8_t*, Coalescer::kFlows> flow_buffers(Arena& arena) {
  std::array<uint8_t*, Coalescer::kFlows> buffers;
  for (uint8_t*& buffer : buffers) buffer = arena.take(Coalescer::kBuffer);
  return buffers;
}

}  // namespace

Receiver::Receiver(const TunDevice& tun, const PathWatch& path, const SaTable& table, TunnelCounters& counters,
                   TunnelObserver& observer, Arena& arena)
    : tun_fd_(tun.writer()),
      path_(path),
      table_(table),
      counters_(counters),
      observer_(observer),
      buffer_(arena.take(kTrains * kTrainBuffer)),
      trains_(buffer_, kTrains, kTrainBuffer),
      datagrams_(buffer_, kDatagrams, kDatagramBuffer),
      coalescer_(flow_buffers(arena), tun.udp_segmentation(), *this) {}

bool Receiver::drain_nat(const UdpSocket& socket, uint64_t now_ms) {
  const size_t received = trains_.receive(socket.fd());
  for (size_t i = 0; i < received; i++) {
    const std::span<uint8_t> train = trains_.message(i);
    const size_t step = trains_.segment(i);
    const Arrival arrival{trains_.source(i), trains_.traffic_class(i), now_ms};
    for (size_t at = 0; at < train.size(); at += step)
      demultiplex(arrival, train.data() + at, std::min(step, train.size() - at));
  }
  coalescer_.flush();
  return error_ == 0;
}

bool Receiver::drain_esp(const RawEspSocket& socket, uint64_t now_ms) {
  const size_t received = datagrams_.receive(socket.fd());
  for (size_t i = 0; i < received; i++) {
    const std::span<uint8_t> datagram = datagrams_.message(i);
    const bool ipv4 = datagrams_.source(i).family() == AF_INET;
    const size_t header = ipv4 && !datagram.empty() ? (datagram[0] & 0x0fu) * 4 : 0;
    if (datagrams_.cut(i) || datagram.size() < header + kSpi) {
      counters_.rx_drop_malformed.add(1);
    } else {
      record_outer(0, datagrams_.source(i), datagram.subspan(header));
      open({datagrams_.source(i), datagrams_.traffic_class(i), now_ms}, datagram.data() + header, datagram.size() - header);
    }
  }
  coalescer_.flush();
  return error_ == 0;
}

void Receiver::drain_ike(const UdpSocket& socket) {
  const size_t received = trains_.receive(socket.fd());
  for (size_t i = 0; i < received; i++) {
    record_outer(kIkePort, trains_.source(i), trains_.message(i));
    deliver_ike(kIkePort, trains_.source(i), trains_.message(i));
  }
}

/** RFC 3948 §2: ESP never has SPI 0, so four zero octets mark IKE; a lone 0xff keeps a NAT mapping alive. */
void Receiver::demultiplex(const Arrival& arrival, uint8_t* datagram, size_t length) {
  record_outer(kNatPort, arrival.from, {datagram, length});
  if (length == 1 && datagram[0] == kKeepalive) return counters_.keepalive_rx.add(1);
  if (length < kNonEspMarker) return counters_.rx_drop_malformed.add(1);
  if (load32(datagram) == 0)
    deliver_ike(kNatPort, arrival.from, {datagram + kNonEspMarker, length - kNonEspMarker});
  else
    open(arrival, datagram, length);
}

/** Whatever becomes of it afterwards. */
void Receiver::record_outer(uint16_t port, const SocketAddress& from, std::span<const uint8_t> datagram) {
  if (taps_.outer != nullptr) [[unlikely]] taps_.outer->record(outer_mark(false, port, from), {}, datagram);
}

void Receiver::deliver_ike(uint16_t port, const SocketAddress& from, std::span<const uint8_t> message) {
  counters_.ike_rx.add(1);
  if (!observer_.on_ike(port, from, message)) counters_.ike_drop_queue.add(1);
}

void Receiver::open(const Arrival& arrival, const uint8_t* packet, size_t length) {
  if (length < kEspMin) return counters_.rx_drop_malformed.add(1);
  InboundSa* sa = table_.find(load32(packet));
  if (sa == nullptr) return counters_.rx_drop_no_sa.add(1);
  uint8_t* packet_inside = coalescer_.landing(length - kEspHeader - AesGcm::kTag);
  Inner inner = open_to(packet_inside, *sa, packet, length, arrival.now_ms);
  if (inner.length == 0) return coalescer_.discard();
  const uint8_t sent_class = traffic_class(packet_inside);
  if (!decapsulate_ecn(packet_inside, arrival.traffic_class)) {
    counters_.rx_drop_policy.add(1);
    sa->counters->drop_policy.add(1);
    return coalescer_.discard();
  }
  if (traffic_class(packet_inside) != sent_class) inner.sum.reset();
  counters_.rx_packets.add(1);
  counters_.rx_bytes.add(inner.length);
  sa->counters->packets.add(1);
  sa->counters->bytes.add(inner.length);
  clamp_mss(packet_inside, inner.length, path_.inner_mtu(), L4Checksum::complete);
  if (taps_.inner != nullptr) [[unlikely]] taps_.inner->record(inner_mark(false), {}, {packet_inside, inner.length});
  coalescer_.accept(inner.length, inner.sum);
}

/** What is not to be delivered is counted. */
Receiver::Inner Receiver::open_to(uint8_t* to, InboundSa& sa, const uint8_t* packet, size_t length, uint64_t now_ms) {
  const EspOpener::Opened opened = sa.opener.open(packet, length, to);
  const bool authentic = opened.verdict == EspVerdict::ok || opened.verdict == EspVerdict::dummy;
  if (!authentic) {
    count_drop(sa, opened.verdict);
    return {};
  }
  counters_.rx_last_ms.set(now_ms);
  sa.counters->last_used_ms.set(now_ms);
  const ReplayWindow& window = sa.opener.window();
  sa.counters->sequence.set(window.top());
  sa.counters->missing.set(window.missing());
  sa.counters->reordered.set(window.reordered());
  if (opened.verdict == EspVerdict::dummy) {
    counters_.rx_dummy.add(1);
    return {};
  }
  Inner inner{ip_length(to, opened.length, opened.next_header), opened.sum};
  if (inner.length == 0) count_drop(sa, EspVerdict::malformed);
  if (inner.length != opened.length) inner.sum.reset();  // the sum has the TFC padding in it
  return inner;
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
    sa.counters->drop_malformed.add(1);
  }
}

void Receiver::write_frame(const uint8_t* frame, size_t length, size_t packets) {
  if (::write(tun_fd_, frame, length) >= 0) return;
  counters_.rx_drop_tun.add(packets);
  if (errno == EBADFD) error_ = errno;  // the device was deleted
}

}  // namespace tunwright
