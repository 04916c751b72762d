#include "icmp_sender.hpp"

#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "socket_address.hpp"
#include "socket_options.hpp"

namespace tunwright {

namespace {

/** A raw socket that receives nothing; -1 where there may be none. */
FileDescriptor open_icmp(int family, int protocol) {
  FileDescriptor fd(::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (fd.get() < 0) return fd;
  if (family == AF_INET) {
    const icmp_filter nothing{.data = UINT32_MAX};
    ::setsockopt(fd.get(), SOL_RAW, ICMP_FILTER, &nothing, sizeof nothing);
  } else {
    icmp6_filter nothing;
    ICMP6_FILTER_SETBLOCKALL(&nothing);
    ::setsockopt(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &nothing, sizeof nothing);
  }
  return fd;
}

}  // namespace

IcmpSender::IcmpSender() : v4_(open_icmp(AF_INET, IPPROTO_ICMP)), v6_(open_icmp(AF_INET6, IPPROTO_ICMPV6)) {}

void IcmpSender::send(const IcmpError& error, uint64_t now_ms) {
  if (error.length == 0 || !limit_.allow(now_ms)) return;
  const SocketAddress to(error.to, 0);
  const int fd = to.family() == AF_INET ? v4_.get() : v6_.get();
  // Best effort: an error that cannot be sent is not an error.
  ::sendto(fd, error.message, error.length, MSG_DONTWAIT | MSG_NOSIGNAL, to.get(), to.length());
}

}  // namespace tunwright
