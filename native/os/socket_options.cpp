#include "socket_options.hpp"

#include <net/if.h>

namespace tunwright {

namespace {

constexpr int kSocketBuffer = 8 << 20;

}  // namespace

FileDescriptor open_socket(int family, int type, int protocol, const SocketOptions& options) {
  FileDescriptor fd(check(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol), "socket"));
  if (options.mark) set_option(fd.get(), SOL_SOCKET, SO_MARK, static_cast<int>(*options.mark), "SO_MARK");
  if (!options.device.empty()) {
    check(::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, options.device.data(),
                       static_cast<socklen_t>(options.device.size())),
          "SO_BINDTODEVICE");
  }
  return fd;
}

void bind_to_path(int fd, const SocketOptions& options, uint16_t port, const std::optional<SocketAddress>& remote) {
  const SocketAddress local(options.local_address, port);
  if (local.family() == AF_INET6) {
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO, "IPV6_MTU_DISCOVER");
    set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS");
  } else {
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO, "IP_MTU_DISCOVER");
    set_option(fd, IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS");
  }
  set_buffers(fd, kSocketBuffer);
  check(::bind(fd, local.get(), local.length()), "bind");
  if (remote) check(::connect(fd, remote->get(), remote->length()), "connect");
}

void set_buffers(int fd, int octets) {
  if (!try_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, octets)) try_option(fd, SOL_SOCKET, SO_RCVBUF, octets);
  if (!try_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, octets)) try_option(fd, SOL_SOCKET, SO_SNDBUF, octets);
}

}  // namespace tunwright
