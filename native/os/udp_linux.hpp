#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

#include "file_descriptor.hpp"
#include "socket_address.hpp"
#include "socket_options.hpp"

namespace tunwright {

inline constexpr uint16_t kIkePort = 500;
inline constexpr uint16_t kNatPort = 4500;  // IKE and ESP in UDP, RFC 3948

/**
 * One of a tunnel's two UDP sockets. Several tunnels share a local address and port: each socket is connected to its
 * own peer, and the kernel prefers a connected socket; SO_REUSEPORT lets them coexist.
 */
class UdpSocket {
 public:
  /** `remote`: connects to it. Throws SystemError. */
  UdpSocket(uint16_t port, const SocketOptions& options, const std::optional<SocketAddress>& remote);

  int fd() const { return fd_.get(); }
  /** UDP_SEGMENT messages are possible. */
  bool segmentation() const { return segmentation_; }
  /** Where datagrams go and come from; none for a socket that talks to anybody. */
  const std::optional<SocketAddress>& peer() const { return peer_; }

  /** Sends one datagram of two parts without waiting; 0 or an errno value. Any thread may call it. */
  int send(const SocketAddress& to, std::span<const uint8_t> head, std::span<const uint8_t> body) const;

 private:
  FileDescriptor fd_;
  std::optional<SocketAddress> peer_;
  bool segmentation_ = false;
};

}  // namespace tunwright
