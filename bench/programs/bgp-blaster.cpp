// A BGP speaker that says what a file holds as fast as TCP takes it: the zone peer of the benches, so that no sender is the
// bottleneck. Prints what happened with CLOCK_MONOTONIC, a line each: open, established, sent, closed.
//
//   bgp-blaster ADDRESS AS UPDATES      UPDATES: whole messages, one after the other
//   SIGUSR1                             closes the connection and stops listening, as a dying router does
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "program.hpp"

namespace {

using program::check;
using program::fail;
using Octets = std::vector<uint8_t>;

constexpr size_t kHeader = 19;
constexpr double kKeepaliveS = 20;
enum Type : uint8_t { kOpen = 1, kKeepalive = 4 };

volatile sig_atomic_t dying = 0;

void say(const char* what) {
  std::printf("%s %.6f\n", what, program::now());
  std::fflush(stdout);
}

Octets message(Type type, const Octets& body) {
  Octets whole(kHeader + body.size(), 0xff);
  whole[16] = static_cast<uint8_t>(whole.size() >> 8);
  whole[17] = static_cast<uint8_t>(whole.size());
  whole[18] = type;
  std::copy(body.begin(), body.end(), whole.begin() + kHeader);
  return whole;
}

/** Version 4, hold time 180 s; capabilities: IPv4 unicast, route refresh, four-octet AS numbers. */
Octets open_message(uint32_t as, const sockaddr_in& address) {
  const uint16_t short_as = as > 0xffff ? 23456 : static_cast<uint16_t>(as);
  Octets body{4, static_cast<uint8_t>(short_as >> 8), static_cast<uint8_t>(short_as), 0, 180};
  const auto* id = reinterpret_cast<const uint8_t*>(&address.sin_addr);
  body.insert(body.end(), id, id + 4);
  const Octets capabilities{1, 4, 0, 1, 0, 1, 2, 0, 65, 4, static_cast<uint8_t>(as >> 24), static_cast<uint8_t>(as >> 16),
                            static_cast<uint8_t>(as >> 8), static_cast<uint8_t>(as)};
  const auto length = static_cast<uint8_t>(capabilities.size());
  body.insert(body.end(), {static_cast<uint8_t>(length + 2), 2, length});
  body.insert(body.end(), capabilities.begin(), capabilities.end());
  return message(kOpen, body);
}

bool read_all(int fd, uint8_t* to, size_t length) {
  while (length > 0) {
    const ssize_t got = ::read(fd, to, length);
    if (got <= 0) return false;
    to += got;
    length -= static_cast<size_t>(got);
  }
  return true;
}

/** Whether the next message is of this type. */
bool expect(int fd, Type type) {
  uint8_t header[kHeader];
  if (!read_all(fd, header, kHeader)) return false;
  Octets body(static_cast<size_t>(header[16] << 8 | header[17]) - kHeader);
  return read_all(fd, body.data(), body.size()) && header[18] == type;
}

Octets read_file(const char* path) {
  const int fd = check(::open(path, O_RDONLY | O_CLOEXEC), path);
  struct stat about;
  check(::fstat(fd, &about), "fstat");
  Octets octets(static_cast<size_t>(about.st_size));
  if (!read_all(fd, octets.data(), octets.size())) fail("read");
  ::close(fd);
  return octets;
}

int listen_at(const char* address) {
  const sockaddr_in at = program::address_of(address, "179");
  const int fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int one = 1;
  check(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), "setsockopt");
  check(::bind(fd, program::generic(at), sizeof at), "bind");
  check(::listen(fd, 4), "listen");
  return fd;
}

/** Until the peer is gone or we have to die. */
void talk(int fd, const Octets& updates) {
  const Octets keepalive = message(kKeepalive, {});
  check(::fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
  size_t sent = 0;
  double quiet_since = program::now();
  Octets ignored(1 << 20);
  while (!dying) {
    pollfd watched{fd, static_cast<short>(POLLIN | (sent < updates.size() ? POLLOUT : 0)), 0};
    ::poll(&watched, 1, 1000);
    if (watched.revents & POLLIN) {
      const ssize_t got = ::read(fd, ignored.data(), ignored.size());
      if (got == 0 || (got < 0 && errno != EAGAIN)) return;
    }
    if (sent < updates.size() && watched.revents & POLLOUT) {
      const ssize_t put = ::write(fd, updates.data() + sent, updates.size() - sent);
      if (put > 0) sent += static_cast<size_t>(put);
      if (sent == updates.size()) say("sent");
    } else if (sent == updates.size() && program::now() - quiet_since > kKeepaliveS) {
      if (::write(fd, keepalive.data(), keepalive.size()) < 0) return;
      quiet_since = program::now();
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::fprintf(stderr, "usage: bgp-blaster ADDRESS AS UPDATES\n");
    return 2;
  }
  struct sigaction die{};
  die.sa_handler = [](int) { dying = 1; };  // without SA_RESTART: it ends what waits
  ::sigaction(SIGUSR1, &die, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const Octets open = open_message(static_cast<uint32_t>(std::stoul(words[2])), program::address_of(words[1], "179"));
  const Octets keepalive = message(kKeepalive, {});
  const Octets updates = read_file(words[3]);
  const int listener = listen_at(words[1]);
  say("listening");
  while (!dying) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int one = 1;
    check(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "setsockopt");
    if (::write(fd, open.data(), open.size()) > 0 && expect(fd, kOpen)) {
      say("open");
      if (::write(fd, keepalive.data(), keepalive.size()) > 0 && expect(fd, kKeepalive)) {
        say("established");
        talk(fd, updates);
      }
    }
    ::close(fd);
    say("closed");
  }
}
