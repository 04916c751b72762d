// Numbered UDP datagrams at a constant rate, and the other end that counts them. One program, so that both ends agree.
//
//   udp-load send ADDRESS PORT OCTETS PACKETS_PER_SECOND SECONDS   prints {"sent":N,"received":N,"reordered":N,"seconds":S}
//   udp-load sink ADDRESS PORT                                     prints `listening`
//
// A run ends with a mark, which the sender repeats until the sink answers with what it counted; behind full queues that
// takes a while. OCTETS is the UDP payload, at least 12: run (4), sequence number (8).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kBatch = 32;
constexpr size_t kLargest = 2048;
constexpr uint64_t kEndMark = UINT64_MAX;
constexpr int kEndMarks = 1000;
constexpr int kAnswerMs = 10;
constexpr int kBuffer = 8 << 20;

struct Header {
  uint32_t run;
  uint64_t sequence;
} __attribute__((packed));

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

double now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void pause_us(long us) {
  const timespec t{us / 1000000, us % 1000000 * 1000};
  ::nanosleep(&t, nullptr);
}

int open_socket(int buffer_option) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (::setsockopt(fd, SOL_SOCKET, buffer_option, &kBuffer, sizeof kBuffer) != 0) fail("setsockopt");
  return fd;
}

sockaddr_in address_of(const char* address, const char* port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<uint16_t>(std::atoi(port)));
  if (::inet_pton(AF_INET, address, &result.sin_addr) != 1) fail("address");
  return result;
}

/** The sink's answer to an end mark. */
struct Count {
  uint32_t run;
  uint64_t received;
  uint64_t reordered;
} __attribute__((packed));

struct Batch {
  explicit Batch(size_t octets) : memory(kBatch * kLargest), messages(kBatch), parts(kBatch) {
    for (size_t i = 0; i < kBatch; i++) {
      parts[i] = {&memory[i * kLargest], octets};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
  }
  void write(size_t i, Header header) { std::memcpy(&memory[i * kLargest], &header, sizeof header); }
  Header read(size_t i) const {
    Header header;
    std::memcpy(&header, &memory[i * kLargest], sizeof header);
    return header;
  }

  std::vector<uint8_t> memory;
  std::vector<mmsghdr> messages;
  std::vector<iovec> parts;
};

/** The mark follows the datagrams through every queue, so its answer counts all that arrived. */
Count ask_sink(int fd, uint32_t run) {
  const Header mark{run, kEndMark};
  const timeval wait{0, kAnswerMs * 1000};
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0) fail("setsockopt");
  for (int i = 0; i < kEndMarks; i++) {
    if (::send(fd, &mark, sizeof mark, 0) < 0 && errno != ENOBUFS && errno != ECONNREFUSED) fail("send");
    Count count;
    if (::recv(fd, &count, sizeof count, 0) == sizeof count && count.run == run) return count;
  }
  std::fprintf(stderr, "udp-load: the sink does not answer\n");
  std::exit(1);
}

/** What is overdue goes out at once, but never more than a batch: a burst would measure the burst. */
void send(const sockaddr_in& to, size_t octets, double rate, double seconds) {
  const int fd = open_socket(SO_SNDBUFFORCE);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) fail("connect");
  Batch batch(octets);
  const uint32_t run = static_cast<uint32_t>(::getpid());
  uint64_t sequence = 0;
  uint64_t refused = 0;  // no buffer, or an ICMP error about an earlier one
  const double start = now();
  double elapsed = 0;
  while ((elapsed = now() - start) < seconds) {
    const uint64_t due = static_cast<uint64_t>(elapsed * rate);
    if (due <= sequence + refused) {
      pause_us(30);
      continue;
    }
    const size_t count = std::min<uint64_t>(due - sequence - refused, kBatch);
    for (size_t i = 0; i < count; i++) batch.write(i, {run, sequence + i});
    const int sent = ::sendmmsg(fd, batch.messages.data(), static_cast<unsigned>(count), 0);
    if (sent > 0) sequence += static_cast<uint64_t>(sent);
    else refused++;
  }
  const Count count = ask_sink(fd, run);
  std::printf("{\"sent\":%llu,\"received\":%llu,\"reordered\":%llu,\"seconds\":%.3f}\n",
              static_cast<unsigned long long>(sequence), static_cast<unsigned long long>(count.received),
              static_cast<unsigned long long>(count.reordered), elapsed);
}

[[noreturn]] void sink(const sockaddr_in& at) {
  const int fd = open_socket(SO_RCVBUFFORCE);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) fail("bind");
  std::printf("listening\n");
  std::fflush(stdout);
  Batch batch(kLargest);
  std::vector<sockaddr_in> sources(kBatch);
  for (size_t i = 0; i < kBatch; i++) batch.messages[i].msg_hdr.msg_name = &sources[i];
  Count counted{};
  uint64_t next = 0;
  for (;;) {
    for (mmsghdr& message : batch.messages) message.msg_hdr.msg_namelen = sizeof(sockaddr_in);
    const int count = ::recvmmsg(fd, batch.messages.data(), kBatch, MSG_WAITFORONE, nullptr);
    if (count < 0 && errno != EINTR) fail("recvmmsg");
    for (size_t i = 0; i < static_cast<size_t>(std::max(count, 0)); i++) {
      const Header header = batch.read(i);
      if (header.run != counted.run) {
        counted = {header.run, 0, 0};
        next = 0;
      }
      if (header.sequence == kEndMark) {
        ::sendto(fd, &counted, sizeof counted, 0, reinterpret_cast<const sockaddr*>(&sources[i]), sizeof sources[i]);
        continue;
      }
      counted.received++;
      if (header.sequence < next) counted.reordered++;
      next = std::max(next, header.sequence + 1);
    }
  }
}

}  // namespace

int main(int count, char** words) {
  const std::string role = count > 1 ? words[1] : "";
  if (role == "sink" && count == 4) sink(address_of(words[2], words[3]));
  if (role == "send" && count == 7) {
    const size_t octets = std::min(std::max<size_t>(std::strtoul(words[4], nullptr, 10), sizeof(Header)), kLargest);
    send(address_of(words[2], words[3]), octets, std::atof(words[5]), std::atof(words[6]));
    return 0;
  }
  std::fprintf(stderr, "usage: udp-load send ADDRESS PORT OCTETS PACKETS_PER_SECOND SECONDS | sink ADDRESS PORT\n");
  return 2;
}
