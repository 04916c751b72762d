#pragma once
#include <optional>

#include "datagram_socket.hpp"
#include "socket_options.hpp"

namespace tunwright {

/**
 * ESP right on IP (protocol 50, RFC 4303), over IPv4 or IPv6. The kernel writes the outer header of what is sent; over
 * IPv4 a received datagram starts with its header, over IPv6 with the SPI.
 */
class RawEspSocket : public DatagramSocket {
 public:
  /** `remote`: connects to it; its port means nothing. Throws SystemError: EPERM without CAP_NET_RAW. */
  RawEspSocket(const SocketOptions& options, const std::optional<SocketAddress>& remote);
};

}  // namespace tunwright
