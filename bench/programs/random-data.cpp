// Random data through a path, and the other end that knows what must come: every octet is compared.
//
//   random-data tcp ADDRESS PORT OCTETS SEED            prints {"octets":N,"right":true,"seconds":S}: what the server verified
//   random-data udp ADDRESS PORT OCTETS SEED RATE       prints {"sent":N,"received":N,"twice":N,"damaged":N}; RATE: datagrams per second
//   random-data serve ADDRESS PORT                      the other end of both; prints `listening`
//
// A TCP connection begins with SEED and OCTETS; the server answers with how many octets were right up to the first wrong one.
// A datagram carries run, number and a payload of 24 to 1,300 octets made from both. The last one is a mark, repeated until
// the server answers with what it has counted.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "program.hpp"

using namespace program;

namespace {

constexpr size_t kChunk = 1 << 16;
constexpr size_t kPayloadMin = 24;
constexpr size_t kPayloadMax = 1300;
constexpr uint64_t kMark = UINT64_MAX;
constexpr int kBatch = 32;

/** The next octets of a stream; `length`: a multiple of 8. */
void fill(Random& random, uint8_t* to, size_t length) {
  for (size_t at = 0; at < length; at += 8) {
    const uint64_t word = random.next();
    std::memcpy(to + at, &word, 8);
  }
}

struct Opening {
  uint64_t seed;
  uint64_t octets;
};

void send_all(int fd, const void* data, size_t length) {
  for (size_t at = 0; at < length;) {
    const ssize_t sent = ::send(fd, static_cast<const uint8_t*>(data) + at, length - at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) fail("send");
    if (sent > 0) at += static_cast<size_t>(sent);
  }
}

bool receive_all(int fd, void* data, size_t length) {
  for (size_t at = 0; at < length;) {
    const ssize_t got = ::recv(fd, static_cast<uint8_t*>(data) + at, length - at, 0);
    if (got == 0 || (got < 0 && errno != EINTR)) return false;
    if (got > 0) at += static_cast<size_t>(got);
  }
  return true;
}

void send_tcp(const sockaddr_in& to, uint64_t octets, uint64_t seed) {
  const int fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  check(::connect(fd, generic(to), sizeof to), "connect");
  const double start = now();
  const Opening opening{seed, octets};
  send_all(fd, &opening, sizeof opening);
  Random random(seed);
  std::vector<uint8_t> chunk(kChunk);
  for (uint64_t sent = 0; sent < octets; sent += kChunk) {
    fill(random, chunk.data(), kChunk);
    send_all(fd, chunk.data(), std::min<uint64_t>(kChunk, octets - sent));
  }
  uint64_t right = 0;
  if (!receive_all(fd, &right, sizeof right)) fail("the server's answer");
  std::printf("{\"octets\":%llu,\"right\":%s,\"seconds\":%.3f}\n", static_cast<unsigned long long>(right),
              right == octets ? "true" : "false", now() - start);
}

void serve_tcp(int fd) {
  Opening opening{};
  if (!receive_all(fd, &opening, sizeof opening)) return;
  Random random(opening.seed);
  std::vector<uint8_t> wanted(kChunk);
  std::vector<uint8_t> chunk(kChunk);
  uint64_t right = 0;
  while (right < opening.octets) {
    const size_t length = std::min<uint64_t>(kChunk, opening.octets - right);
    fill(random, wanted.data(), kChunk);
    if (!receive_all(fd, chunk.data(), length) || std::memcmp(chunk.data(), wanted.data(), length) != 0) break;
    right += length;
  }
  send_all(fd, &right, sizeof right);
}

struct Header {
  uint64_t run;
  uint64_t number;
};

struct Count {
  uint64_t run;
  uint64_t received;
  uint64_t twice;
  uint64_t damaged;
};

/** Header and payload of a datagram, which both ends can make. */
size_t make_datagram(const Header& header, uint8_t* to) {
  std::memcpy(to, &header, sizeof header);
  Random random(header.run ^ (header.number * 2 + 1));
  const size_t length = kPayloadMin + random.below(kPayloadMax - kPayloadMin + 1);
  fill(random, to + sizeof header, (length + 7) / 8 * 8);
  return sizeof header + length;
}

void send_udp(const sockaddr_in& to, uint64_t octets, uint64_t seed, double rate) {
  const int fd = open_udp();
  check(::connect(fd, generic(to), sizeof to), "connect");
  uint8_t datagram[sizeof(Header) + kPayloadMax + 8];
  const double start = now();
  uint64_t number = 0;
  for (uint64_t sent = 0; sent < octets;) {
    const uint64_t due = std::min<uint64_t>(static_cast<uint64_t>((now() - start) * rate), number + kBatch);
    if (due <= number) pause_us(30);
    for (; number < due && sent < octets; number++) {
      const size_t length = make_datagram({seed, number}, datagram);
      while (::send(fd, datagram, length, 0) < 0) {
        if (errno != ENOBUFS && errno != ECONNREFUSED) fail("send");
      }
      sent += length;
    }
  }
  const Count count = ask<Count>(fd, Header{seed, kMark});
  std::printf("{\"sent\":%llu,\"received\":%llu,\"twice\":%llu,\"damaged\":%llu}\n",
              static_cast<unsigned long long>(number), static_cast<unsigned long long>(count.received),
              static_cast<unsigned long long>(count.twice), static_cast<unsigned long long>(count.damaged));
}

/** The server's memory of one run. */
class Run {
 public:
  explicit Run(uint64_t run) : count_{run, 0, 0, 0} {}

  const Count& count() const { return count_; }

  void take(const Header& header, const uint8_t* datagram, size_t length) {
    uint8_t wanted[sizeof(Header) + kPayloadMax + 8];
    if (make_datagram(header, wanted) != length || std::memcmp(datagram, wanted, length) != 0) {
      count_.damaged++;
      return;
    }
    if (header.number >= seen_.size()) seen_.resize(header.number * 2 + 1);
    if (seen_[header.number]) count_.twice++;
    else count_.received++;
    seen_[header.number] = true;
  }

 private:
  Count count_;
  std::vector<bool> seen_;
};

/** One datagram, if there is one. */
bool serve_udp(int fd, Run& run) {
  uint8_t datagram[2048];
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const ssize_t length = ::recvfrom(fd, datagram, sizeof datagram, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
  if (length < 0) return false;
  Header header{};
  std::memcpy(&header, datagram, std::min(sizeof header, static_cast<size_t>(length)));
  if (header.run != run.count().run) run = Run(header.run);
  if (header.number == kMark) ::sendto(fd, &run.count(), sizeof(Count), 0, generic(from), size);
  else run.take(header, datagram, static_cast<size_t>(length));
  return true;
}

[[noreturn]] void serve(const sockaddr_in& at) {
  const int udp = open_bound_udp(at);
  const int tcp = check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  check(::bind(tcp, generic(at), sizeof at), "bind");
  check(::listen(tcp, 1), "listen");
  std::printf("listening\n");
  std::fflush(stdout);
  Run run(0);
  for (;;) {
    pollfd watched[2] = {{udp, POLLIN, 0}, {tcp, POLLIN, 0}};
    check(::poll(watched, 2, -1), "poll");
    if (watched[1].revents != 0) {
      const int connection = check(::accept(tcp, nullptr, nullptr), "accept");
      serve_tcp(connection);
      ::close(connection);
    }
    while (serve_udp(udp, run)) {
    }
  }
}

}  // namespace

int main(int count, char** words) {
  const std::string role = count > 1 ? words[1] : "";
  const auto number = [&](int i) { return std::strtoull(words[i], nullptr, 10); };
  if (role == "serve" && count == 4) serve(address_of(words[2], words[3]));
  if (role == "tcp" && count == 6) return send_tcp(address_of(words[2], words[3]), number(4), number(5)), 0;
  if (role == "udp" && count == 7)
    return send_udp(address_of(words[2], words[3]), number(4), number(5), std::atof(words[6])), 0;
  std::fprintf(stderr, "usage: random-data tcp ADDRESS PORT OCTETS SEED | udp ADDRESS PORT OCTETS SEED RATE | serve ADDRESS PORT\n");
  return 2;
}
