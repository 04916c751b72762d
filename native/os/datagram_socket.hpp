#pragma once
#include <optional>
#include <utility>

#include "file_descriptor.hpp"
#include "socket_address.hpp"

namespace tunwright {

/**
 * A socket through which datagrams of one tunnel come and go. Several tunnels share a local address: each socket is
 * connected to its own peer, and the kernel prefers a connected socket.
 */
class DatagramSocket {
 public:
  int fd() const { return fd_.get(); }
  /** One message may carry several datagrams (UDP_SEGMENT). */
  bool segmentation() const { return segmentation_; }
  /** Where datagrams go and come from; none for a socket that talks to anybody. */
  const std::optional<SocketAddress>& peer() const { return peer_; }

 protected:
  DatagramSocket(FileDescriptor fd, std::optional<SocketAddress> peer) : fd_(std::move(fd)), peer_(std::move(peer)) {}

  FileDescriptor fd_;
  std::optional<SocketAddress> peer_;
  bool segmentation_ = false;
};

}  // namespace tunwright
