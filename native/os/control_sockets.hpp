#pragma once
// Sockets that the control plane needs and Node cannot make or configure by itself.
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "file_descriptor.hpp"
#include "socket_options.hpp"

namespace tunwright {

/** TCP_MD5SIG (RFC 2385): segments from and to this address carry a signature. */
struct Md5Key {
  std::vector<uint8_t> peer;
  std::vector<uint8_t> key;  // 1 to 80 octets
};

struct TcpOptions {
  SocketOptions socket;
  uint16_t local_port = 0;
  bool listen = false;
  std::optional<int> ttl;
  std::optional<int> max_segment;
  std::optional<int> user_timeout_ms;
  std::optional<int> tos;
  /** IP_MINTTL: what has come further is dropped (RFC 5082). */
  std::optional<int> min_ttl;
  std::vector<Md5Key> md5_keys;
};

/** Bound and configured, neither connected nor listening. IPv4 unless the local address is an IPv6 one. */
FileDescriptor open_tcp(const TcpOptions& options);

/**
 * A netlink socket that joined `groups`, with extended acknowledgements. What the requests of the socket with the port id
 * `deaf_to` cause is not told to it, nor what moves within a resilient nexthop group; 0: it is told everything.
 */
FileDescriptor open_netlink(int protocol, const std::vector<uint32_t>& groups, uint32_t deaf_to = 0);

/** The port id (nl_pid) the kernel gave to a netlink socket. */
uint32_t netlink_port(int fd);

/** A raw IPv4 socket; received datagrams start with their IP header. */
FileDescriptor open_raw(int protocol, const SocketOptions& options);

struct PeerCredentials {
  pid_t pid;
  uid_t uid;
  gid_t gid;
};
/** Who is at the other end of a connected unix socket. */
PeerCredentials peer_credentials(int fd);

}  // namespace tunwright
