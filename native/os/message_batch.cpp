#include "message_batch.hpp"

#include <algorithm>
#include <cstring>

namespace tunwright {

namespace {

constexpr int kUdpGro = 104;  // Linux 5.0; missing in some build machines' headers

}  // namespace

MessageBatch::MessageBatch(uint8_t* buffer, size_t count, size_t size)
    : messages_(count), parts_(count), sources_(count), controls_(count) {
  for (size_t i = 0; i < count; i++) {
    parts_[i] = {buffer + i * size, size};
    messages_[i].msg_hdr.msg_iov = &parts_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
    messages_[i].msg_hdr.msg_name = sources_[i].get();
    messages_[i].msg_hdr.msg_control = controls_[i].bytes;
  }
}

size_t MessageBatch::receive(int fd) {
  for (mmsghdr& message : messages_) {
    message.msg_hdr.msg_namelen = SocketAddress::capacity();
    message.msg_hdr.msg_controllen = sizeof(Control);
  }
  const int received = ::recvmmsg(fd, messages_.data(), static_cast<unsigned>(messages_.size()), MSG_DONTWAIT, nullptr);
  return static_cast<size_t>(std::max(received, 0));
}

size_t MessageBatch::segment(size_t index) {
  msghdr& message = messages_[index].msg_hdr;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != IPPROTO_UDP || control->cmsg_type != kUdpGro) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(control), sizeof size);
    if (size > 0) return static_cast<size_t>(size);
  }
  return messages_[index].msg_len;
}

}  // namespace tunwright
