// How long prefixes are out of reach: numbered datagrams from one namespace to one address of each prefix, and who got them. One
// process holds all the sockets, so there is one clock.
//
//   outage-probe FROM-NAMESPACE TO-NAMESPACE,TO-NAMESPACE INTERVAL-US SECONDS ADDRESS...
//
// Prints "ready" after the first round, then one line of JSON: sent, lost, worst_ms (the longest run of one prefix), mean_ms (of the
// prefixes that lost any), hit (how many those are).
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "program.hpp"

namespace {

using program::check;

constexpr const char* kPort = "7007";

struct Datagram {
  uint32_t prefix;
  uint32_t round;
};

/** Sockets stay in the namespace they were made in. */
int open_in(const std::string& name, bool bound) {
  const int space = check(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC), name.c_str());
  check(::setns(space, CLONE_NEWNET), "setns");
  ::close(space);
  return bound ? program::open_bound_udp(program::address_of("0.0.0.0", kPort)) : program::open_udp();
}

void receive(const std::vector<int>& sinks, std::vector<std::vector<bool>>& arrived, const volatile bool& over) {
  std::vector<pollfd> watched;
  for (const int sink : sinks) watched.push_back({sink, POLLIN, 0});
  while (!over) {
    ::poll(watched.data(), watched.size(), 50);
    for (const pollfd& each : watched) {
      Datagram datagram;
      while (::recv(each.fd, &datagram, sizeof datagram, MSG_DONTWAIT) == sizeof datagram) {
        if (datagram.prefix < arrived.size() && datagram.round < arrived[0].size())
          arrived[datagram.prefix][datagram.round] = true;
      }
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count < 6) {
    std::fprintf(stderr, "usage: outage-probe FROM TO,TO INTERVAL-US SECONDS ADDRESS...\n");
    return 2;
  }
  const std::string both = words[2];
  const size_t comma = both.find(',');
  const std::vector<int> sinks{open_in(both.substr(0, comma), true), open_in(both.substr(comma + 1), true)};
  const int sender = open_in(words[1], false);
  const double interval = std::atof(words[3]) * 1e-6;
  const auto rounds = static_cast<uint32_t>(std::atof(words[4]) / interval);
  std::vector<sockaddr_in> to;
  for (int i = 5; i < count; i++) to.push_back(program::address_of(words[i], kPort));

  std::vector<std::vector<bool>> arrived(to.size(), std::vector<bool>(rounds));
  volatile bool over = false;
  std::thread receiver([&] { receive(sinks, arrived, over); });
  const double start = program::now();
  for (uint32_t round = 0; round < rounds; round++) {
    const double wait = start + round * interval - program::now();
    if (wait > 0) program::pause_us(static_cast<long>(wait * 1e6));
    for (uint32_t prefix = 0; prefix < to.size(); prefix++) {
      const Datagram datagram{prefix, round};
      ::sendto(sender, &datagram, sizeof datagram, 0, program::generic(to[prefix]), sizeof to[prefix]);
    }
    if (round == 0) std::puts("ready"), std::fflush(stdout);
  }
  program::pause_us(300'000);
  over = true;
  receiver.join();

  long lost = 0, hit = 0, worst = 0, sum = 0;
  for (const auto& prefix : arrived) {
    long run = 0, longest = 0;
    for (const bool there : prefix) {
      run = there ? 0 : run + 1;
      lost += !there;
      longest = std::max(longest, run);
    }
    hit += longest > 0;
    sum += longest;
    worst = std::max(worst, longest);
  }
  const double ms = interval * 1e3;
  std::printf("{\"sent\":%zu,\"lost\":%ld,\"hit\":%ld,\"worst_ms\":%.1f,\"mean_ms\":%.1f}\n", to.size() * rounds, lost, hit,
              static_cast<double>(worst) * ms, hit == 0 ? 0 : static_cast<double>(sum) * ms / static_cast<double>(hit));
}
