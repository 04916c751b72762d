#include "path_watch.hpp"

#include <algorithm>

namespace tunwright {

namespace {

constexpr uint16_t kAnyPort = 4500;

/** What the kernel lets through to `remote` without fragmentation; 0 when it does not say. */
size_t kernel_path_mtu(const SocketOptions& options, const SocketAddress& remote) {
  try {
    const FileDescriptor fd = open_socket(remote.family(), SOCK_DGRAM, IPPROTO_UDP, options);
    const SocketAddress local(options.local_address, 0);
    check(::bind(fd.get(), local.get(), local.length()), "bind");
    const SocketAddress to(remote.octets(), kAnyPort);
    check(::connect(fd.get(), to.get(), to.length()), "connect");
    int mtu = 0;
    socklen_t length = sizeof mtu;
    if (remote.family() == AF_INET6)
      check(::getsockopt(fd.get(), IPPROTO_IPV6, IPV6_MTU, &mtu, &length), "IPV6_MTU");
    else
      check(::getsockopt(fd.get(), IPPROTO_IP, IP_MTU, &mtu, &length), "IP_MTU");
    return static_cast<size_t>(std::max(mtu, 0));
  } catch (const SystemError&) {
    return 0;  // no route for the moment: nothing is known, and nothing can be sent
  }
}

}  // namespace

PathWatch::PathWatch(const SocketOptions& options, TunDevice& tun, size_t configured)
    : options_(options), tun_(tun), configured_(configured), inner_(configured) {}

bool PathWatch::look(Lane* lane, uint64_t now_ms) {
  const bool early = looked_ms_ != 0 && now_ms - looked_ms_ < static_cast<uint64_t>(sleep_ms());
  if (early) return false;
  suspected_.store(false, std::memory_order_relaxed);
  looked_ms_ = now_ms;
  if (lane == nullptr) return false;
  const Departure& departure = lane->departure();
  const size_t path = kernel_path_mtu(options_, departure.remote);
  if (path == 0) return false;
  path_mtu_ = path;
  const IpVersion outer = departure.remote.family() == AF_INET6 ? IpVersion::v6 : IpVersion::v4;
  const size_t inner = std::min(configured_, tunwright::inner_mtu(path, outer, departure.encapsulation));
  if (inner == inner_mtu()) return false;
  inner_.store(inner, std::memory_order_relaxed);
  tun_.set_mtu(static_cast<int>(inner));
  return true;
}

}  // namespace tunwright
