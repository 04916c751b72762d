#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "datagram_socket.hpp"
#include "offloads.hpp"
#include "socket_options.hpp"

namespace tunwright {

inline constexpr uint16_t kIkePort = 500;
inline constexpr uint16_t kNatPort = 4500;  // IKE and ESP in UDP, RFC 3948

/** One of a tunnel's two UDP sockets. SO_REUSEPORT lets those of several tunnels coexist. */
class UdpSocket : public DatagramSocket {
 public:
  /** `remote`: connects to it. Throws SystemError. */
  UdpSocket(uint16_t port, const SocketOptions& options, const std::optional<SocketAddress>& remote,
            const Offloads& wanted);

  /** Sends one datagram of two parts without waiting; 0 or an errno value. Any thread may call it. */
  int send(const SocketAddress& to, std::span<const uint8_t> head, std::span<const uint8_t> body) const;
};

}  // namespace tunwright
