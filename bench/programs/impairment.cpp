// A bad path between two UDP endpoints, which each take it for the other: datagrams are lost, overtaken and doubled.
//
//   impairment NEAR_LOCAL NEAR_PEER FAR_LOCAL FAR_PEER PORT SEED LOSS REORDERING DUPLICATION
//
// The last three are per mille of the datagrams, decided by random numbers from SEED. Prints `ready`; and at each SIGUSR1
// {"there":{"seen":N,"lost":N,"reordered":N,"duplicated":N},"back":{…}}, `there` being near to far.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <vector>

#include "program.hpp"

using namespace program;

namespace {

constexpr size_t kBatch = 64;
constexpr size_t kLargest = 2048;
/** How many datagrams at most overtake one that is held back, and how long it waits when none comes. */
constexpr uint64_t kOvertakenMax = 8;
constexpr double kHeldMaxSeconds = 0.005;
constexpr int kIdleMs = 2;

struct Rates {
  uint64_t loss;
  uint64_t reordering;
  uint64_t duplication;
};

/** Datagrams on their way out, in one memory that is used again and again. */
class Batch {
 public:
  Batch() : memory_(2 * kBatch * kLargest), messages_(2 * kBatch), parts_(2 * kBatch) {}

  size_t receive(int fd) {
    for (size_t i = 0; i < kBatch; i++) prepare(i, kLargest);
    const int count = ::recvmmsg(fd, messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
    return count < 0 ? 0 : static_cast<size_t>(count);
  }
  const uint8_t* data(size_t i) const { return &memory_[i * kLargest]; }
  size_t length(size_t i) const { return messages_[i].msg_len; }

  void append(const uint8_t* octets, size_t length) {
    std::memcpy(&memory_[used_ * kLargest], octets, length);
    prepare(used_++, length);
    if (used_ == messages_.size()) full_ = true;
  }
  bool full() const { return full_; }

  /** Waits for room: this path loses only what it says it loses. */
  void send(int fd) {
    for (size_t at = 0; at < used_;) {
      const int sent = ::sendmmsg(fd, &messages_[at], static_cast<unsigned>(used_ - at), 0);
      if (sent > 0) at += static_cast<size_t>(sent);
      else if (errno != ECONNREFUSED && errno != ENOBUFS) fail("sendmmsg");
    }
    used_ = 0;
    full_ = false;
  }

 private:
  void prepare(size_t i, size_t length) {
    parts_[i] = {&memory_[i * kLargest], length};
    messages_[i] = {};
    messages_[i].msg_hdr.msg_iov = &parts_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }

  std::vector<uint8_t> memory_;
  std::vector<mmsghdr> messages_;
  std::vector<iovec> parts_;
  size_t used_ = 0;
  bool full_ = false;
};

/** One direction. */
class Path {
 public:
  Path(int from, int to, const Rates& rates, uint64_t seed) : from_(from), to_(to), rates_(rates), random_(seed) {}

  void move() {
    const size_t count = in_.receive(from_);
    for (size_t i = 0; i < count; i++) decide(in_.data(i), in_.length(i));
    if (held_.size() > 0 && (count == 0 || held_.front().until < now())) release(now());
    out_.send(to_);
  }

  void print(const char* name) const {
    std::printf("\"%s\":{\"seen\":%llu,\"lost\":%llu,\"reordered\":%llu,\"duplicated\":%llu}", name,
                static_cast<unsigned long long>(seen_), static_cast<unsigned long long>(lost_),
                static_cast<unsigned long long>(reordered_), static_cast<unsigned long long>(duplicated_));
  }

 private:
  struct Held {
    std::vector<uint8_t> octets;
    uint64_t overtaken_by;  // how many still pass it
    double until;
  };

  void decide(const uint8_t* octets, size_t length) {
    seen_++;
    const uint64_t fate = random_.below(1000);
    if (fate < rates_.loss) {
      lost_++;
    } else if (fate < rates_.loss + rates_.reordering) {
      reordered_++;
      held_.push_back({{octets, octets + length}, 1 + random_.below(kOvertakenMax), now() + kHeldMaxSeconds});
    } else {
      pass(octets, length);
      if (fate >= rates_.loss + rates_.reordering + rates_.duplication) return;
      duplicated_++;
      pass(octets, length);
    }
  }

  void pass(const uint8_t* octets, size_t length) {
    put(octets, length);
    for (Held& held : held_) held.overtaken_by--;
    while (!held_.empty() && held_.front().overtaken_by == 0) put_held();
    // One that is not the first waits for the first: it is passed by more than it was to be, and stays out of order.
    for (Held& held : held_) held.overtaken_by = std::max<uint64_t>(held.overtaken_by, 1);
  }

  void release(double time) {
    while (!held_.empty() && held_.front().until <= time) put_held();
  }

  void put_held() {
    put(held_.front().octets.data(), held_.front().octets.size());
    held_.pop_front();
  }

  void put(const uint8_t* octets, size_t length) {
    if (out_.full()) out_.send(to_);
    out_.append(octets, length);
  }

  const int from_;
  const int to_;
  const Rates rates_;
  Random random_;
  Batch in_;
  Batch out_;
  std::deque<Held> held_;
  uint64_t seen_ = 0;
  uint64_t lost_ = 0;
  uint64_t reordered_ = 0;
  uint64_t duplicated_ = 0;
};

volatile std::sig_atomic_t asked = 0;

int open_side(const char* local, const char* peer, const char* port) {
  const int fd = open_bound_udp(address_of(local, port));
  const sockaddr_in to = address_of(peer, port);
  check(::connect(fd, generic(to), sizeof to), "connect");
  return fd;
}

}  // namespace

int main(int count, char** words) {
  if (count != 10) {
    std::fprintf(stderr, "usage: impairment NEAR_LOCAL NEAR_PEER FAR_LOCAL FAR_PEER PORT SEED LOSS REORDERING DUPLICATION\n");
    return 2;
  }
  const int near = open_side(words[1], words[2], words[5]);
  const int far = open_side(words[3], words[4], words[5]);
  const auto number = [&](int i) { return std::strtoull(words[i], nullptr, 10); };
  const Rates rates{number(7), number(8), number(9)};
  Path there(near, far, rates, number(6));
  Path back(far, near, rates, number(6) + 1);
  std::signal(SIGUSR1, [](int) { asked = 1; });
  std::printf("ready\n");
  std::fflush(stdout);
  for (;;) {
    pollfd watched[2] = {{near, POLLIN, 0}, {far, POLLIN, 0}};
    if (::poll(watched, 2, kIdleMs) < 0 && errno != EINTR) fail("poll");
    there.move();
    back.move();
    if (asked == 0) continue;
    asked = 0;
    std::printf("{");
    there.print("there");
    std::printf(",");
    back.print("back");
    std::printf("}\n");
    std::fflush(stdout);
  }
}
