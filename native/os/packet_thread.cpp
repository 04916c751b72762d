#include "packet_thread.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

namespace tunwright {

namespace {

constexpr size_t kHugePage = 2 << 20;
constexpr size_t kNameMax = 15;

size_t arena_size(const Duty& duty) {
  const size_t size = (duty.lane ? Transmitter::kArena : 0) + (duty.receives ? Receiver::kArena : 0);
  return (size / kHugePage + 1) * kHugePage;
}

uint64_t monotonic_us() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
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

PacketThread::PacketThread(const Duty& duty, const TunnelOptions& options, TunnelParts& parts, TunnelObserver& observer)
    : duty_(duty),
      parts_(parts),
      observer_(observer),
      arena_(arena_size(duty)),
      wake_(check(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      poll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      busy_poll_(options.busy_poll_us) {
  watch(poll_.get(), EPOLL_CTL_ADD, wake_.get(), EPOLLIN);
  if (duty.lane) {
    const int queue = parts.tun.queue(*duty.lane);
    transmitter_.emplace(queue, *duty.lane, parts.path, options.copy_dscp, *parts.counters, arena_);
    watch(poll_.get(), EPOLL_CTL_ADD, queue, EPOLLIN);
  }
  if (!duty.receives) return;
  receiver_.emplace(parts.tun, parts.path, parts.inbound, *parts.counters, observer, arena_);
  watch(poll_.get(), EPOLL_CTL_ADD, parts.ike_socket.fd(), EPOLLIN);
  watch(poll_.get(), EPOLL_CTL_ADD, parts.nat_socket.fd(), EPOLLIN);
  if (parts.esp_socket) watch(poll_.get(), EPOLL_CTL_ADD, parts.esp_socket->fd(), EPOLLIN);
}

void PacketThread::start(std::optional<int> processor, std::function<void()> wake_all) {
  wake_all_ = std::move(wake_all);
  const SignalsBlocked signals;
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), duty_.name.substr(0, kNameMax).c_str());
  if (!processor) return;
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<size_t>(*processor), &only);
  const int error = ::pthread_setaffinity_np(thread_.native_handle(), sizeof only, &only);
  if (error != 0) throw SystemError(error, "sched_setaffinity");
}

void PacketThread::join() {
  if (thread_.joinable()) thread_.join();
}

void PacketThread::wake() const {
  const uint64_t one = 1;
  // Full means that the thread is about to wake up anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void PacketThread::run() {
  const char* failed_call = nullptr;
  while (!parts_.stop.load(std::memory_order_acquire)) {
    if (turn(&failed_call)) continue;
    // The kernel calls a deleted device a bad descriptor state; to everybody else it is a missing device.
    const int code = errno == EBADFD ? ENODEV : errno;
    if (!parts_.stop.exchange(true)) observer_.on_failed(code, failed_call);
    wake_all_();
  }
  parts_.readers.leave(duty_.reader);
}

/** One round: wait, keep house, then a bounded amount of work per direction. False: errno is fatal. */
bool PacketThread::turn(const char** failed_call) {
  epoll_event events[kEventsMax];
  const int count = wait(events);
  if (count < 0) {
    *failed_call = "epoll_wait";
    return errno == EINTR;
  }
  const uint64_t now_ms = monotonic_us() / 1000;
  keep_house(now_ms);
  const CaptureTaps taps(parts_.capture.load(std::memory_order_acquire), duty_.reader);
  if (transmitter_) transmitter_->tap(taps);
  if (receiver_) receiver_->tap(taps);
  for (int i = 0; i < count; i++) {
    if (!serve(events[i].data.fd, events[i].events, now_ms, failed_call)) return false;
  }
  return true;
}

int PacketThread::wait(epoll_event* events) {
  const int longest_ms = leads() ? parts_.path.sleep_ms() : -1;
  if (busy_poll_.off()) return ::epoll_wait(poll_.get(), events, kEventsMax, longest_ms);
  const uint64_t since = monotonic_us();
  int count = 0;
  do {
    count = ::epoll_wait(poll_.get(), events, kEventsMax, 0);
  } while (count == 0 && monotonic_us() - since < busy_poll_.window_us());
  if (count == 0) count = ::epoll_wait(poll_.get(), events, kEventsMax, longest_ms);
  busy_poll_.waited(monotonic_us() - since);
  return count;
}

/** At a point where the thread holds no SA. */
void PacketThread::keep_house(uint64_t now_ms) {
  const bool news = parts_.readers.pass(duty_.reader);
  if (duty_.reader != 0) {
    if (news) wake_all_();  // thread 0 may have waited for this one
  } else {
    parts_.retired_inbound.reclaim();
    parts_.retired_outbound.reclaim();
  }
  if (!leads()) return;
  OutboundSa* sa = parts_.outbound_sa();
  if (parts_.path.look(sa == nullptr ? nullptr : sa->lanes[*duty_.lane].get(), now_ms))
    observer_.on_mtu(parts_.path.inner_mtu(), parts_.path.path_mtu());
}

bool PacketThread::serve(int fd, uint32_t ready, uint64_t now_ms, const char** failed_call) {
  if (fd == wake_.get()) {
    uint64_t wakes;
    [[maybe_unused]] const ssize_t got = ::read(fd, &wakes, sizeof wakes);
    return true;
  }
  if (duty_.lane && fd == parts_.tun.queue(*duty_.lane)) return transmit(now_ms, failed_call);
  // An ICMP message came for the socket; receiving takes the error away.
  if ((ready & EPOLLERR) != 0 && fd != parts_.ike_socket.fd()) suspect_path();
  if ((ready & EPOLLOUT) != 0 && transmitter_->flush()) watch_blocked(nullptr);
  if (!receiver_) return true;
  if (fd == parts_.nat_socket.fd()) return received(receiver_->drain_nat(parts_.nat_socket, now_ms), failed_call);
  if (fd != parts_.ike_socket.fd()) return received(receiver_->drain_esp(*parts_.esp_socket, now_ms), failed_call);
  receiver_->drain_ike(parts_.ike_socket);
  return true;
}

bool PacketThread::transmit(uint64_t now_ms, const char** failed_call) {
  OutboundSa* sa = parts_.outbound_sa();
  const Transmitter::Outcome outcome = transmitter_->drain(sa, now_ms);
  if (transmitter_->take_path_suspect()) suspect_path();
  if (outcome == Transmitter::Outcome::blocked) watch_blocked(transmitter_->socket());
  if (outcome == Transmitter::Outcome::failed) {
    *failed_call = "read tun";
    errno = transmitter_->error();
    return false;
  }
  if (sa != nullptr && sa->numbers.exhausted()) lose_carrier();
  return true;
}

/** The SA has sent its last packet: whatever comes now had better go another way. */
void PacketThread::lose_carrier() {
  try {
    parts_.carrier.follow();
  } catch (const SystemError&) {
    // The device is gone; reading from it says so.
  }
}

bool PacketThread::received(bool good, const char** failed_call) {
  if (good) return true;
  *failed_call = "write tun";
  errno = receiver_->error();
  return false;
}

void PacketThread::suspect_path() {
  if (parts_.path.suspect() && !leads()) wake_all_();
}

/** While a socket is full, wait for it instead of the TUN, whose queue then fills and slows the senders down. */
void PacketThread::watch_blocked(const DatagramSocket* full) {
  if (full == full_) return;
  // ERR and HUP are always reported: a TUN that is deleted meanwhile shows all the same.
  constexpr uint32_t kNothing = 0;
  watch(poll_.get(), EPOLL_CTL_MOD, parts_.tun.queue(*duty_.lane), full == nullptr ? EPOLLIN : kNothing);
  if (full_ != nullptr) watch_socket(*full_, false);
  if (full != nullptr) watch_socket(*full, true);
  full_ = full;
}

void PacketThread::watch_socket(const DatagramSocket& socket, bool room) {
  if (duty_.receives) return watch(poll_.get(), EPOLL_CTL_MOD, socket.fd(), room ? EPOLLIN | EPOLLOUT : EPOLLIN);
  watch(poll_.get(), room ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, socket.fd(), EPOLLOUT);
}

}  // namespace tunwright
