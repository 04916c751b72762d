#include "udp_linux.hpp"

#include <netinet/udp.h>
#include <sys/uio.h>

namespace tunwright {

namespace {

// Newer than the headers of some build machines: Linux 4.18 and 5.0.
constexpr int kUdpSegment = 103;
constexpr int kUdpGro = 104;

}  // namespace

UdpSocket::UdpSocket(uint16_t port, const SocketOptions& options, const std::optional<SocketAddress>& remote,
                     const Offloads& wanted)
    : DatagramSocket(open_socket(address_family(options), SOCK_DGRAM, IPPROTO_UDP, options), remote) {
  // Not SO_REUSEADDR: other IKE daemons set that too, and each would lose datagrams to the other without a word.
  set_option(fd_.get(), SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
  if (address_family(options) == AF_INET6) set_option(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
  bind_to_path(fd_.get(), options, port, peer_);
  segmentation_ = wanted.udp_gso && try_option(fd_.get(), IPPROTO_UDP, kUdpSegment, 0);
  // Only ESP comes in trains; IKE on port 500 is read one datagram at a time.
  if (port == kNatPort && wanted.udp_gro) try_option(fd_.get(), IPPROTO_UDP, kUdpGro, 1);
}

int UdpSocket::send(const SocketAddress& to, std::span<const uint8_t> head, std::span<const uint8_t> body) const {
  iovec parts[2] = {{const_cast<uint8_t*>(head.data()), head.size()},
                    {const_cast<uint8_t*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to.get());
  message.msg_namelen = to.length();
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  // An ICMP error about an earlier datagram is reported in place of this send: clear it by trying once more.
  for (int attempt = 0; attempt < 2; attempt++) {
    if (::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno != ECONNREFUSED) break;
  }
  return errno;
}

}  // namespace tunwright
