// Numbered UDP datagrams at a constant rate, and the other end that counts them. One program, so that both ends agree.
//
//   udp-load send ADDRESS PORT OCTETS PACKETS_PER_SECOND SECONDS   prints {"sent":N,"received":N,"reordered":N,"seconds":S}
//   udp-load sink ADDRESS PORT                                     prints `listening`
//
// A run ends with a mark, which the sender repeats until the sink answers with what it counted; behind full queues that
// takes a while. OCTETS is the UDP payload, at least 12: run (4), sequence number (8).
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "program.hpp"

using namespace program;

namespace {

constexpr size_t kBatch = 32;
constexpr size_t kLargest = 2048;
constexpr uint64_t kEndMark = UINT64_MAX;

struct Header {
  uint32_t run;
  uint64_t sequence;
} __attribute__((packed));

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

/** What is overdue goes out at once, but never more than a batch: a burst would measure the burst. */
void send(const sockaddr_in& to, size_t octets, double rate, double seconds) {
  const int fd = open_udp();
  check(::connect(fd, generic(to), sizeof to), "connect");
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
  const Count count = ask<Count>(fd, Header{run, kEndMark});
  std::printf("{\"sent\":%llu,\"received\":%llu,\"reordered\":%llu,\"seconds\":%.3f}\n",
              static_cast<unsigned long long>(sequence), static_cast<unsigned long long>(count.received),
              static_cast<unsigned long long>(count.reordered), elapsed);
}

[[noreturn]] void sink(const sockaddr_in& at) {
  const int fd = open_bound_udp(at);
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
        ::sendto(fd, &counted, sizeof counted, 0, generic(sources[i]), sizeof sources[i]);
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
