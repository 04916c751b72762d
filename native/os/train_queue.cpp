#include "train_queue.hpp"

#include <netinet/udp.h>

#include <cerrno>

namespace tunwright {

namespace {

constexpr int kUdpSegment = 103;  // Linux 4.18; missing in some build machines' headers
constexpr size_t kMessages = 64;

}  // namespace

/** What one sendmmsg call is given. */
struct TrainQueue::Messages {
  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
  };
  std::array<mmsghdr, kMessages> headers;
  std::array<iovec, kMessages> parts;
  std::array<Control, kMessages> controls;
  size_t count = 0;

  void add(std::span<uint8_t> octets) {
    parts[count] = {octets.data(), octets.size()};
    headers[count] = {};
    headers[count].msg_hdr.msg_iov = &parts[count];
    headers[count].msg_hdr.msg_iovlen = 1;
    count++;
  }
  /** Makes the message added last a train of packets of `size` octets. */
  void segment(size_t size) {
    msghdr& header = headers[count - 1].msg_hdr;
    header.msg_control = controls[count - 1].bytes;
    header.msg_controllen = sizeof(Control);
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = kUdpSegment;
    control->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    const uint16_t value = static_cast<uint16_t>(size);
    std::memcpy(CMSG_DATA(control), &value, sizeof value);
  }
};

TrainQueue::TrainQueue(TunnelCounters& counters, Arena& arena) : counters_(counters) {
  for (Train& train : trains_) train = Train(arena.take(Train::kCapacity));
}

bool TrainQueue::depart_through(const Departure& departure) {
  if (departure == departure_) return true;
  if (!flush()) return false;
  departure_ = departure;
  return true;
}

bool TrainQueue::make_room() {
  if (used_ + kSuperPacket <= kTrains) return true;
  flush();
  return used_ + kSuperPacket <= kTrains;
}

uint8_t* TrainQueue::claim(size_t size) {
  opens_ = used_ == first_ || !trains_[used_ - 1].accepts(size, whole_trains());
  if (!opens_) return trains_[used_ - 1].tail();
  if (used_ == kTrains) flush();
  return used_ == kTrains ? nullptr : trains_[used_].tail();
}

void TrainQueue::append(size_t size) {
  if (opens_) used_++;
  opens_ = false;
  trains_[used_ - 1].append(size);
}

/** Whole trains, or their packets, from the front; as many as one call takes. */
void TrainQueue::prepare(Messages& messages) {
  for (size_t i = first_; i < used_ && messages.count < kMessages; i++) {
    const Train& train = trains_[i];
    if (whole_trains()) {
      messages.add(train.octets());
      if (train.packets() > 1) messages.segment(train.packet(0).size());
      continue;
    }
    for (size_t n = 0; n < train.packets() && messages.count < kMessages; n++) messages.add(train.packet(n));
  }
  if (departure_.connected()) return;
  for (size_t i = 0; i < messages.count; i++) {
    messages.headers[i].msg_hdr.msg_name = departure_.remote.get();
    messages.headers[i].msg_hdr.msg_namelen = departure_.remote.length();
  }
}

/** `count` messages have left. */
void TrainQueue::finish(size_t count) {
  while (count > 0) {
    Train& train = trains_[first_];
    const size_t messages = whole_trains() ? 1 : train.packets();
    if (count < messages) return train.advance(count);
    train.clear();
    first_++;
    count -= messages;
  }
}

bool TrainQueue::flush() {
  while (first_ < used_) {
    Messages messages;
    prepare(messages);
    const size_t sent = send(messages);
    if (sent == 0 && errno == EAGAIN) break;
    if (sent == 0) drop(errno);
    finish(sent);
  }
  // What still waits moves to the front, so that the rest of the queue is free again.
  std::rotate(trains_.begin(), trains_.begin() + static_cast<ptrdiff_t>(first_),
              trains_.begin() + static_cast<ptrdiff_t>(used_));
  used_ -= first_;
  first_ = 0;
  return used_ == 0;
}

/** How many of the messages the kernel took; 0: errno says what is wrong with the first. */
size_t TrainQueue::send(Messages& messages) {
  // An error about an earlier datagram (ICMP) is reported in place of a send: what counts is what the second try says.
  for (int attempt = 0; attempt < 2; attempt++) {
    const int sent = ::sendmmsg(departure_.socket->fd(), messages.headers.data(), static_cast<unsigned>(messages.count),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) return static_cast<size_t>(sent);
    if (errno == EAGAIN) break;
  }
  return 0;
}

/** The kernel refuses the first message. */
void TrainQueue::drop(int error) {
  Train& train = trains_[first_];
  const bool segmented = whole_trains() && train.packets() > 1;
  if (segmented && error == EIO) {
    // The device cannot segment (no checksum offload): from now on, and this time too, one packet per message.
    segmentation_ = false;
    return;
  }
  const size_t lost = whole_trains() ? train.packets() : 1;
  // EINVAL is how kernels before 6.8 say that a segment exceeds the path MTU.
  if (error == EMSGSIZE || (error == EINVAL && segmented))
    counters_.tx_drop_too_big.add(lost);
  else
    counters_.tx_drop_send.add_shared(lost);
  finish(1);
}

}  // namespace tunwright
