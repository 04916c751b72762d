#include "control_sockets.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cstring>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

namespace tunwright {

namespace {

constexpr int kNetlinkBuffer = 8 << 20;

/**
 * A table of 100,000 routes must not be told back to whoever writes it: the kernel drops messages with this nlmsg_pid. Nor
 * must each of the thousand buckets of a resilient group that moves when a tunnel comes or goes: nobody can do anything about it.
 */
void ignore_echoes(int fd, uint32_t port) {
  // The loads are of network order, the fields of host order.
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 3, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWNEXTHOPBUCKET), 1, 0),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  check(::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), "SO_ATTACH_FILTER");
}

void sign(int fd, const Md5Key& md5) {
  tcp_md5sig signature{};
  const SocketAddress peer(md5.peer, 0);
  std::memcpy(&signature.tcpm_addr, peer.get(), peer.length());
  const size_t length = std::min(md5.key.size(), sizeof signature.tcpm_key);
  signature.tcpm_keylen = static_cast<uint16_t>(length);
  std::memcpy(signature.tcpm_key, md5.key.data(), length);
  const int result = ::setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof signature);
  explicit_bzero(&signature, sizeof signature);
  check(result, "TCP_MD5SIG");
}

}  // namespace

FileDescriptor open_tcp(const TcpOptions& options) {
  const bool ipv6 = options.socket.local_address.size() == 16;
  FileDescriptor fd = open_socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP, options.socket);
  const int level = ipv6 ? static_cast<int>(IPPROTO_IPV6) : static_cast<int>(IPPROTO_IP);
  if (ipv6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
  if (options.ttl) set_option(fd.get(), level, ipv6 ? IPV6_UNICAST_HOPS : IP_TTL, *options.ttl, "IP_TTL");
  if (options.tos) set_option(fd.get(), level, ipv6 ? IPV6_TCLASS : IP_TOS, *options.tos, "IP_TOS");
  if (options.max_segment) set_option(fd.get(), IPPROTO_TCP, TCP_MAXSEG, *options.max_segment, "TCP_MAXSEG");
  if (options.user_timeout_ms)
    set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, *options.user_timeout_ms, "TCP_USER_TIMEOUT");
  if (options.min_ttl)
    set_option(fd.get(), level, ipv6 ? IPV6_MINHOPCOUNT : IP_MINTTL, *options.min_ttl, ipv6 ? "IPV6_MINHOPCOUNT" : "IP_MINTTL");
  for (const Md5Key& md5 : options.md5_keys) sign(fd.get(), md5);

  const bool bound = !options.socket.local_address.empty() || options.local_port != 0 || options.listen;
  if (!bound) return fd;
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  static constexpr uint8_t kAny[4] = {0, 0, 0, 0};
  const std::span<const uint8_t> address =
      options.socket.local_address.empty() ? std::span<const uint8_t>(kAny) : options.socket.local_address;
  const SocketAddress local(address, options.local_port);
  check(::bind(fd.get(), local.get(), local.length()), "bind");
  return fd;
}

FileDescriptor open_netlink(int protocol, const std::vector<uint32_t>& groups, uint32_t deaf_to) {
  FileDescriptor fd(check(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol), "socket"));
  set_buffers(fd.get(), kNetlinkBuffer);
  // Old kernels answer without the text or with the whole request: both are understood.
  try_option(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, 1);
  try_option(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, 1);
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  check(::bind(fd.get(), reinterpret_cast<sockaddr*>(&local), sizeof local), "bind");
  if (deaf_to != 0) ignore_echoes(fd.get(), deaf_to);
  for (const uint32_t group : groups)
    set_option(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, static_cast<int>(group), "NETLINK_ADD_MEMBERSHIP");
  return fd;
}

uint32_t netlink_port(int fd) {
  sockaddr_nl local{};
  socklen_t length = sizeof local;
  check(::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length), "getsockname");
  return local.nl_pid;
}

FileDescriptor open_raw(int protocol, const SocketOptions& options) {
  FileDescriptor fd = open_socket(AF_INET, SOCK_RAW, protocol, options);
  if (!options.local_address.empty()) {
    const SocketAddress local(options.local_address, 0);
    check(::bind(fd.get(), local.get(), local.length()), "bind");
  }
  return fd;
}

PeerCredentials peer_credentials(int fd) {
  ucred credentials;
  socklen_t length = sizeof credentials;
  check(::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length), "SO_PEERCRED");
  return {credentials.pid, credentials.uid, credentials.gid};
}

}  // namespace tunwright
