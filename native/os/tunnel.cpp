#include "tunnel.hpp"

#include "capture_mark.hpp"

namespace tunwright {

namespace {

constexpr uint8_t kNonEspMarker[4] = {0, 0, 0, 0};
constexpr uint8_t kKeepalive[1] = {0xff};
constexpr size_t kCaptureMax = 64 << 20;  // octets of all rings of a capture

/** One thread does everything; several share the work so that packets of one flow never change places. */
std::vector<Duty> duties(const TunnelOptions& options) {
  if (options.threads == 1) return {{"tw-" + options.interface, 0, 0, true}};
  std::vector<Duty> result{{"rx-" + options.interface, 0, std::nullopt, true}};
  for (size_t i = 1; i < options.threads; i++) result.push_back({"tx-" + options.interface, i, i - 1, false});
  return result;
}

}  // namespace

Tunnel::Tunnel(const TunnelOptions& options, TunnelObserver& observer) : parts_(options) {
  for (const Duty& duty : duties(options))
    threads_.push_back(std::make_unique<PacketThread>(duty, options, parts_, observer));
  try {
    start(options);
  } catch (...) {
    stop();
    throw;
  }
}

void Tunnel::start(const TunnelOptions& options) {
  const std::vector<int>& processors = options.processors;
  for (size_t i = 0; i < threads_.size(); i++) {
    const auto processor = processors.empty() ? std::nullopt : std::optional(processors[i % processors.size()]);
    threads_[i]->start(processor, [this] { wake_all(); });
  }
}

void Tunnel::stop() {
  parts_.stop.store(true);
  wake_all();
  for (const auto& thread : threads_) thread->join();
}

void Tunnel::remove_inbound(uint32_t spi) {
  parts_.retired_inbound.retire(parts_.inbound.remove(spi));
  wake_all();
}

std::shared_ptr<SaCounters> Tunnel::set_outbound(const SaKeys& keys, uint64_t next_sequence,
                                                 Encapsulation encapsulation, const SocketAddress& remote) {
  Departure departure{&parts_.nat_socket, remote, encapsulation};
  if (encapsulation == Encapsulation::esp) {
    if (!parts_.esp_socket) throw SystemError(EPERM, "raw ESP socket");
    departure = {&*parts_.esp_socket, SocketAddress(remote.octets(), 0), encapsulation};
  }
  auto sa = std::make_unique<OutboundSa>(keys, departure, parts_.senders());
  sa->numbers.set_next(next_sequence);
  const std::shared_ptr<SaCounters> counters = sa->counters;
  replace_outbound(std::move(sa));
  return counters;
}

void Tunnel::move_outbound(const SocketAddress& remote) {
  // Only this thread replaces it, and the packet threads destroy only what was replaced.
  if (OutboundSa* sa = parts_.outbound_sa(); sa != nullptr) sa->move(remote);
  parts_.path.suspect();
  wake_all();
}

void Tunnel::replace_outbound(std::unique_ptr<OutboundSa> sa) {
  std::unique_ptr<OutboundSa> before(parts_.outbound.exchange(sa.release(), std::memory_order_acq_rel));
  parts_.retired_outbound.retire(std::move(before));
  parts_.path.suspect();
  wake_all();
  parts_.carrier.follow();
}

void Tunnel::send_ike(uint16_t local_port, const SocketAddress& to, std::span<const uint8_t> message) {
  record_sent(local_port, to, local_port == kIkePort ? std::span<const uint8_t>() : kNonEspMarker, message);
  if (local_port == kIkePort)
    count_send(parts_.ike_socket.send(to, {}, message));
  else
    count_send(parts_.nat_socket.send(to, kNonEspMarker, message));
}

void Tunnel::send_keepalive(const SocketAddress& to) {
  record_sent(kNatPort, to, {}, kKeepalive);
  count_send(parts_.nat_socket.send(to, {}, kKeepalive));
}

void Tunnel::start_capture(CaptureSide side, size_t packets, size_t snap_length) {
  if (capture_) throw SystemError(EBUSY, "startCapture");
  // The last ring is this thread's, which sends what is not ESP.
  const size_t rings = threads_.size() + 1;
  if (rings * packets * snap_length > kCaptureMax) throw SystemError(ENOBUFS, "startCapture");
  capture_ = std::make_unique<Capture>(side, rings, packets, snap_length);
  parts_.capture.store(capture_.get(), std::memory_order_release);
}

void Tunnel::end_capture() {
  if (parts_.capture.exchange(nullptr, std::memory_order_acq_rel) == nullptr) return;
  capture_ended_ = parts_.readers.mark();
  wake_all();
}

std::unique_ptr<Capture> Tunnel::collect_capture() {
  const bool going_on = parts_.capture.load(std::memory_order_relaxed) != nullptr;
  if (going_on || !parts_.readers.have_passed(capture_ended_)) return nullptr;
  return std::move(capture_);
}

void Tunnel::record_sent(uint16_t local_port, const SocketAddress& to, std::span<const uint8_t> head,
                         std::span<const uint8_t> message) {
  const CaptureTaps taps(parts_.capture.load(std::memory_order_relaxed), threads_.size());
  if (taps.outer != nullptr) taps.outer->record(outer_mark(true, local_port, to), head, message);
}

void Tunnel::count_send(int error) {
  if (error != 0) parts_.counters->tx_drop_send.add_shared(1);
}

void Tunnel::wake_all() const {
  for (const auto& thread : threads_) thread->wake();
}

}  // namespace tunwright
