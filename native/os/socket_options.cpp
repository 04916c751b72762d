#include "socket_options.hpp"

#include <net/if.h>

namespace tunwright {

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

void set_buffers(int fd, int octets) {
  if (!try_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, octets)) try_option(fd, SOL_SOCKET, SO_RCVBUF, octets);
  if (!try_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, octets)) try_option(fd, SOL_SOCKET, SO_SNDBUF, octets);
}

}  // namespace tunwright
