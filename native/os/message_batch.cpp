#include "message_batch.hpp"

#include <algorithm>
#include <cstring>

namespace tunwright {

namespace {

constexpr int kUdpGro = 104;  // Linux 5.0; missing in some build machines' headers

}  // namespace

MessageBatch::MessageBatch(uint8_t* buffer, size_t count, size_t size)
    : messages_(count), parts_(count), sources_(count), controls_(count), segments_(count), traffic_classes_(count) {
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
  const size_t count = static_cast<size_t>(std::max(received, 0));
  for (size_t i = 0; i < count; i++) note_controls(i);
  return count;
}

void MessageBatch::note_controls(size_t index) {
  segments_[index] = 0;
  traffic_classes_[index] = 0;
  msghdr& message = messages_[index].msg_hdr;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    int value = 0;
    // IP_TOS is one octet, the others are an int.
    std::memcpy(&value, CMSG_DATA(control), std::min(sizeof value, control->cmsg_len - CMSG_LEN(0)));
    if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == kUdpGro)
      segments_[index] = static_cast<size_t>(std::max(value, 0));
    else if ((control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) ||
             (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS))
      traffic_classes_[index] = static_cast<uint8_t>(value);
  }
}

}  // namespace tunwright
