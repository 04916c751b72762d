#pragma once
// What the small programs have in common: sockets, clocks, and an end with a sentence when the kernel refuses.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace program {

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline int check(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

inline double now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

inline void pause_us(long us) {
  const timespec t{us / 1000000, us % 1000000 * 1000};
  ::nanosleep(&t, nullptr);
}

inline sockaddr_in address_of(const char* address, const char* port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
  if (::inet_pton(AF_INET, address, &result.sin_addr) != 1) fail("address");
  return result;
}

inline const sockaddr* generic(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

/** A datagram socket with deep buffers both ways. */
inline int open_udp() {
  constexpr int kBuffer = 8 << 20;
  const int fd = check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  for (const int option : {SO_SNDBUFFORCE, SO_RCVBUFFORCE})
    check(::setsockopt(fd, SOL_SOCKET, option, &kBuffer, sizeof kBuffer), "setsockopt");
  return fd;
}

inline int open_bound_udp(const sockaddr_in& at) {
  const int fd = open_udp();
  check(::bind(fd, generic(at), sizeof at), "bind");
  return fd;
}

inline void set_timeout_ms(int fd, long ms) {
  const timeval wait{ms / 1000, ms % 1000 * 1000};
  check(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), "setsockopt");
}

/**
 * Sends `mark`, which follows the datagrams through every queue, until a Count of its run comes back: behind full queues that
 * takes a while.
 */
template <typename Count, typename Mark>
Count ask(int fd, const Mark& mark) {
  constexpr int kMarks = 1000;
  set_timeout_ms(fd, 10);
  for (int i = 0; i < kMarks; i++) {
    if (::send(fd, &mark, sizeof mark, 0) < 0 && errno != ENOBUFS && errno != ECONNREFUSED) fail("send");
    Count count;
    if (::recv(fd, &count, sizeof count, 0) == sizeof count && count.run == mark.run) return count;
  }
  std::fprintf(stderr, "the other end does not answer\n");
  std::exit(1);
}

/** xorshift64*: the same numbers from the same seed, everywhere. */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u | 1) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  /** From 0 to `limit` - 1. */
  uint64_t below(uint64_t limit) { return next() % limit; }

 private:
  uint64_t state_;
};

}  // namespace program
