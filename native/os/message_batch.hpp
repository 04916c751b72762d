#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "socket_address.hpp"

namespace tunwright {

/** Datagrams, or trains of them (UDP_GRO), as one recvmmsg call brings them. */
class MessageBatch {
 public:
  /** `count` messages of at most `size` octets each, in `count * size` octets at `buffer`. */
  MessageBatch(uint8_t* buffer, size_t count, size_t size);
  MessageBatch(const MessageBatch&) = delete;
  MessageBatch& operator=(const MessageBatch&) = delete;

  /**
   * Takes what is waiting; returns how many messages. Errors are about datagrams sent earlier (ICMP) and say nothing
   * here. What is asked of a message is known until the next call.
   */
  size_t receive(int fd);

  std::span<uint8_t> message(size_t index) const {
    return {static_cast<uint8_t*>(parts_[index].iov_base), messages_[index].msg_len};
  }
  const SocketAddress& source(size_t index) const { return sources_[index]; }
  /** The message was longer than its buffer. */
  bool cut(size_t index) const { return (messages_[index].msg_hdr.msg_flags & MSG_TRUNC) != 0; }
  /** Size of the datagrams of a train but perhaps the last; of the whole message when it is a single datagram. */
  size_t segment(size_t index) const { return segments_[index] != 0 ? segments_[index] : messages_[index].msg_len; }
  /** DSCP and ECN of the outer header, where the socket tells. */
  uint8_t traffic_class(size_t index) const { return traffic_classes_[index]; }

 private:
  struct alignas(cmsghdr) Control {
    uint8_t bytes[2 * CMSG_SPACE(sizeof(int))];
  };

  void note_controls(size_t index);

  std::vector<mmsghdr> messages_;
  std::vector<iovec> parts_;
  std::vector<SocketAddress> sources_;
  std::vector<Control> controls_;
  std::vector<size_t> segments_;  // 0: a single datagram
  std::vector<uint8_t> traffic_classes_;
};

}  // namespace tunwright
