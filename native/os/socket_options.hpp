#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "file_descriptor.hpp"
#include "socket_address.hpp"
#include "system_error.hpp"

namespace tunwright {

/** What every socket of ours may be pinned to. */
struct SocketOptions {
  std::optional<uint32_t> mark;             // SO_MARK
  std::string device;                       // SO_BINDTODEVICE; empty = any
  std::vector<uint8_t> local_address;       // 4 or 16 octets; empty = any
};

inline void set_option(int fd, int level, int option, int value, const char* name) {
  check(::setsockopt(fd, level, option, &value, sizeof value), name);
}
/** For options that only make things faster or that old kernels lack. */
inline bool try_option(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/** A non-blocking socket with mark and device applied; not bound. */
FileDescriptor open_socket(int family, int type, int protocol, const SocketOptions& options);

/** Of the local address. */
inline int address_family(const SocketOptions& options) {
  return options.local_address.size() == 16 ? AF_INET6 : AF_INET;
}

/**
 * Makes a datagram socket an end of the outer path: it never fragments, tells the traffic class of what it receives, has
 * deep buffers, is bound to the local address and, with a `remote`, connected.
 */
void bind_to_path(int fd, const SocketOptions& options, uint16_t port, const std::optional<SocketAddress>& remote);

/** Asks for a buffer of `octets` beyond the system's limit, or for as much as the limit allows. */
void set_buffers(int fd, int octets);

}  // namespace tunwright
