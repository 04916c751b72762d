// Watches a kernel fill with BGP routes: when the first came, when all were there, when all had two next hops. Prints these with
// CLOCK_MONOTONIC, a line each: watching, first, all, both, and lost when the kernel dropped notifications.
//
//   fib-monitor COUNT      of IPv4 prefixes that BIRD, FRR or we install, link-local ones aside
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

#include <unordered_map>
#include <vector>

#include "program.hpp"

namespace {

using program::check;

constexpr uint8_t kProtocols[] = {RTPROT_BIRD, RTPROT_ZEBRA, RTPROT_BGP, 77};
constexpr uint32_t kLinkLocal = 0xa9fe0000;

void say(const char* what) {
  std::printf("%s %.6f\n", what, program::now());
  std::fflush(stdout);
}

struct Route {
  uint64_t key = 0;
  int next_hops = 1;
};

int count_next_hops(const rtattr* multipath) {
  int count = 0;
  int left = static_cast<int>(RTA_PAYLOAD(multipath));
  for (auto* hop = static_cast<const rtnexthop*>(RTA_DATA(multipath));
       left >= static_cast<int>(sizeof *hop) && hop->rtnh_len >= sizeof *hop && hop->rtnh_len <= left;
       left -= static_cast<int>(NLMSG_ALIGN(hop->rtnh_len)), hop = RTNH_NEXT(hop))
    count++;
  return count;
}

bool read_route(const nlmsghdr* message, Route& route) {
  const auto* about = static_cast<const rtmsg*>(NLMSG_DATA(message));
  bool ours = false;
  for (const uint8_t protocol : kProtocols) ours = ours || about->rtm_protocol == protocol;
  if (!ours || about->rtm_family != AF_INET || about->rtm_type != RTN_UNICAST) return false;
  uint32_t destination = 0;
  auto left = static_cast<unsigned>(RTM_PAYLOAD(message));
  for (const rtattr* each = RTM_RTA(about); RTA_OK(each, left); each = RTA_NEXT(each, left)) {
    if (each->rta_type == RTA_DST) destination = ntohl(*static_cast<const uint32_t*>(RTA_DATA(each)));
    if (each->rta_type == RTA_MULTIPATH) route.next_hops = count_next_hops(each);
  }
  route.key = static_cast<uint64_t>(destination) << 8 | about->rtm_dst_len;
  return (destination & 0xffff0000) != kLinkLocal;
}

class Watch {
 public:
  explicit Watch(size_t wanted) : wanted_(wanted) { known_.reserve(wanted); }

  void on(const nlmsghdr* message) {
    Route route;
    if ((message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE) || !read_route(message, route)) return;
    if (known_.empty()) say("first");
    const bool gone = message->nlmsg_type == RTM_DELROUTE;
    const auto [at, added] = known_.try_emplace(route.key, 0);
    const int before = added ? 0 : at->second;
    const int now = gone ? 0 : route.next_hops;
    at->second = now;
    present_ += (now > 0) - (before > 0);
    doubled_ += (now > 1) - (before > 1);
    if (!all_ && present_ >= wanted_) all_ = (say("all"), true);
    if (!both_ && doubled_ >= wanted_) both_ = (say("both"), true);
  }

 private:
  size_t wanted_;
  size_t present_ = 0;
  size_t doubled_ = 0;
  bool all_ = false;
  bool both_ = false;
  /** Next hops by prefix; 0: it was there. */
  std::unordered_map<uint64_t, int> known_;
};

}  // namespace

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: fib-monitor COUNT\n");
    return 2;
  }
  const int fd = check(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "socket");
  const int buffer = 512 << 20;
  check(::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer), "SO_RCVBUFFORCE");
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = RTMGRP_IPV4_ROUTE;
  check(::bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local), "bind");
  Watch watch(static_cast<size_t>(std::atol(words[1])));
  say("watching");
  std::vector<char> octets(256 << 10);
  for (;;) {
    const ssize_t got = ::recv(fd, octets.data(), octets.size(), 0);
    if (got < 0 && errno == ENOBUFS) say("lost");
    if (got <= 0) continue;
    auto left = static_cast<unsigned>(got);
    for (auto* each = reinterpret_cast<nlmsghdr*>(octets.data()); NLMSG_OK(each, left); each = NLMSG_NEXT(each, left))
      watch.on(each);
  }
}
