#include "tunnel.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

namespace tunwright {

namespace {

constexpr uint8_t kNonEspMarker[4] = {0, 0, 0, 0};
constexpr uint8_t kKeepalive[1] = {0xff};
constexpr size_t kHugePage = 2 << 20;
constexpr size_t kArenaSize = ((Transmitter::kArena + Receiver::kArena) / kHugePage + 1) * kHugePage;

std::optional<SocketAddress> peer(const TunnelOptions& options, uint16_t port) {
  if (options.remote_address.empty()) return std::nullopt;
  return SocketAddress(options.remote_address, port);
}

uint64_t monotonic_ms() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

/** Raw sockets need CAP_NET_RAW, which a tunnel that uses UDP can do without. */
std::optional<RawEspSocket> open_raw_esp(const TunnelOptions& options) {
  try {
    return RawEspSocket(options.socket, peer(options, 0));
  } catch (const SystemError& error) {
    if (error.code() != EPERM) throw;
    return std::nullopt;
  }
}

void watch(int poll, int operation, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  check(::epoll_ctl(poll, operation, fd, &event), "epoll_ctl");
}

/** Signals belong to the main thread: a thread started under this scope never takes one. */
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

Tunnel::Tunnel(const TunnelOptions& options, TunnelObserver& observer)
    : counters_(std::make_shared<TunnelCounters>()),
      observer_(observer),
      tun_(options.interface, options.mtu),
      ike_socket_(kIkePort, options.socket, peer(options, kIkePort)),
      nat_socket_(kNatPort, options.socket, peer(options, kNatPort)),
      esp_socket_(open_raw_esp(options)),
      path_(options.socket, tun_, static_cast<size_t>(options.mtu)),
      arena_(kArenaSize),
      transmitter_(tun_.fd(), path_, options.copy_dscp, *counters_, arena_),
      receiver_(tun_, path_, inbound_, *counters_, observer, arena_),
      wake_(check(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      poll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  watch(poll_.get(), EPOLL_CTL_ADD, wake_.get(), EPOLLIN);
  watch(poll_.get(), EPOLL_CTL_ADD, tun_.fd(), EPOLLIN);
  watch(poll_.get(), EPOLL_CTL_ADD, ike_socket_.fd(), EPOLLIN);
  watch(poll_.get(), EPOLL_CTL_ADD, nat_socket_.fd(), EPOLLIN);
  if (esp_socket_) watch(poll_.get(), EPOLL_CTL_ADD, esp_socket_->fd(), EPOLLIN);
  const SignalsBlocked signals;
  thread_ = std::thread([this] { run(); });
  const std::string name = ("tw-" + options.interface).substr(0, 15);
  ::pthread_setname_np(thread_.native_handle(), name.c_str());
}

Tunnel::~Tunnel() {
  stop();
  delete outbound_.load();
}

void Tunnel::stop() {
  if (!thread_.joinable()) return;
  stop_.store(true);
  wake();
  thread_.join();
}

void Tunnel::remove_inbound(uint32_t spi) {
  retired_inbound_.retire(inbound_.remove(spi));
  wake();
}

std::shared_ptr<SaCounters> Tunnel::set_outbound(const SaKeys& keys, Encapsulation encapsulation,
                                                 const SocketAddress& remote) {
  Departure departure{&nat_socket_, remote, encapsulation};
  if (encapsulation == Encapsulation::esp) {
    if (!esp_socket_) throw SystemError(EPERM, "raw ESP socket");
    departure = {&*esp_socket_, SocketAddress(remote.octets(), 0), encapsulation};
  }
  auto sa = std::make_unique<OutboundSa>(keys, departure);
  const std::shared_ptr<SaCounters> counters = sa->counters;
  replace_outbound(std::move(sa));
  return counters;
}

void Tunnel::move_outbound(const SocketAddress& remote) {
  // Only this thread replaces it, and the packet thread destroys only what was replaced.
  if (OutboundSa* sa = outbound_.load(std::memory_order_acquire); sa != nullptr) sa->move(remote);
  path_.suspect();
  wake();
}

void Tunnel::replace_outbound(std::unique_ptr<OutboundSa> sa) {
  retired_outbound_.retire(std::unique_ptr<OutboundSa>(outbound_.exchange(sa.release(), std::memory_order_acq_rel)));
  path_.suspect();
  wake();
}

void Tunnel::send_ike(uint16_t local_port, const SocketAddress& to, std::span<const uint8_t> message) {
  if (local_port == kIkePort)
    count_send(ike_socket_.send(to, {}, message));
  else
    count_send(nat_socket_.send(to, kNonEspMarker, message));
}

void Tunnel::send_keepalive(const SocketAddress& to) { count_send(nat_socket_.send(to, {}, kKeepalive)); }

void Tunnel::count_send(int error) {
  if (error != 0) counters_->tx_drop_send.add_shared(1);
}

void Tunnel::wake() {
  const uint64_t one = 1;
  // Full means that the thread is about to wake up anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void Tunnel::run() {
  const char* failed_call = nullptr;
  while (!stop_.load(std::memory_order_acquire)) {
    if (turn(&failed_call)) continue;
    // The kernel calls a deleted device a bad descriptor state; to everybody else it is a missing device.
    observer_.on_failed(errno == EBADFD ? ENODEV : errno, failed_call);
    return;
  }
}

/** One round: wait, let go of removed SAs, then a bounded amount of work per direction. False: errno is fatal. */
bool Tunnel::turn(const char** failed_call) {
  epoll_event events[5];
  const int count = ::epoll_wait(poll_.get(), events, 5, path_.sleep_ms());
  if (count < 0) {
    *failed_call = "epoll_wait";
    return errno == EINTR;
  }
  retired_inbound_.reclaim();
  retired_outbound_.reclaim();
  const uint64_t now_ms = monotonic_ms();
  if (path_.look(outbound_.load(std::memory_order_acquire), now_ms))
    observer_.on_mtu(path_.inner_mtu(), path_.path_mtu());
  for (int i = 0; i < count; i++) {
    if (!serve(events[i].data.fd, events[i].events, now_ms, failed_call)) return false;
  }
  return true;
}

bool Tunnel::serve(int fd, uint32_t ready, uint64_t now_ms, const char** failed_call) {
  if (fd == tun_.fd()) return transmit(now_ms, failed_call);
  if (fd == wake_.get()) {
    uint64_t wakes;
    [[maybe_unused]] const ssize_t got = ::read(fd, &wakes, sizeof wakes);
    return true;
  }
  if (fd == ike_socket_.fd()) {
    receiver_.drain_ike(ike_socket_);
    return true;
  }
  // An ICMP message came for the socket; receiving takes the error away.
  if ((ready & EPOLLERR) != 0) path_.suspect();
  if ((ready & EPOLLOUT) != 0 && transmitter_.flush()) watch_blocked(nullptr);
  if (fd == nat_socket_.fd()) return received(receiver_.drain_nat(nat_socket_, now_ms), failed_call);
  return received(receiver_.drain_esp(*esp_socket_, now_ms), failed_call);
}

bool Tunnel::transmit(uint64_t now_ms, const char** failed_call) {
  const Transmitter::Outcome outcome = transmitter_.drain(outbound_.load(std::memory_order_acquire), now_ms);
  if (outcome == Transmitter::Outcome::blocked) watch_blocked(transmitter_.socket());
  if (outcome != Transmitter::Outcome::failed) return true;
  *failed_call = "read tun";
  errno = transmitter_.error();
  return false;
}

bool Tunnel::received(bool good, const char** failed_call) {
  if (good) return true;
  *failed_call = "write tun";
  errno = receiver_.error();
  return false;
}

/** While a socket is full, wait for it instead of the TUN, whose queue then fills and slows the senders down. */
void Tunnel::watch_blocked(const DatagramSocket* full) {
  if (full == full_) return;
  // ERR and HUP are always reported: a TUN that is deleted meanwhile shows all the same.
  constexpr uint32_t kNothing = 0;
  constexpr uint32_t kInput = EPOLLIN;
  constexpr uint32_t kBoth = EPOLLIN | EPOLLOUT;
  watch(poll_.get(), EPOLL_CTL_MOD, tun_.fd(), full == nullptr ? kInput : kNothing);
  if (full_ != nullptr) watch(poll_.get(), EPOLL_CTL_MOD, full_->fd(), kInput);
  if (full != nullptr) watch(poll_.get(), EPOLL_CTL_MOD, full->fd(), kBoth);
  full_ = full;
}

}  // namespace tunwright
