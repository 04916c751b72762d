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
    uint8_t bytes[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
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
  /** Says something about the message added last. */
  template <typename Value>
  void control(int level, int type, Value value) {
    msghdr& header = headers[count - 1].msg_hdr;
    uint8_t* at = controls[count - 1].bytes + header.msg_controllen;
    cmsghdr about{};
    about.cmsg_level = level;
    about.cmsg_type = type;
    about.cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(at, &about, sizeof about);
    std::memcpy(at + CMSG_LEN(0), &value, sizeof value);
    header.msg_control = controls[count - 1].bytes;
    header.msg_controllen += CMSG_SPACE(sizeof value);
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

uint8_t* TrainQueue::claim(size_t size, uint8_t traffic_class) {
  opens_ = used_ == first_ || !trains_[used_ - 1].accepts(size, traffic_class, whole_trains());
  if (!opens_) return trains_[used_ - 1].tail();
  if (used_ == kTrains) flush();
  return used_ == kTrains ? nullptr : trains_[used_].tail();
}

void TrainQueue::append(size_t size, uint8_t traffic_class) {
  if (opens_) used_++;
  opens_ = false;
  trains_[used_ - 1].append(size, traffic_class);
}

/** Whole trains, or their packets, from the front; as many as one call takes. */
void TrainQueue::prepare(Messages& messages) {
  const bool ipv4 = departure_.remote.family() == AF_INET;
  const auto add = [&](const Train& train, std::span<uint8_t> octets) {
    messages.add(octets);
    const int traffic_class = train.traffic_class();
    if (traffic_class == 0) return;
    if (ipv4)
      messages.control(IPPROTO_IP, IP_TOS, traffic_class);
    else
      messages.control(IPPROTO_IPV6, IPV6_TCLASS, traffic_class);
  };
  for (size_t i = first_; i < used_ && messages.count < kMessages; i++) {
    const Train& train = trains_[i];
    if (whole_trains()) {
      add(train, train.octets());
      if (train.packets() > 1)
        messages.control(IPPROTO_UDP, kUdpSegment, static_cast<uint16_t>(train.packet(0).size()));
      continue;
    }
    for (size_t n = 0; n < train.packets() && messages.count < kMessages; n++) add(train, train.packet(n));
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
  if (error == EMSGSIZE || (error == EINVAL && segmented)) {
    counters_.tx_drop_too_big.add_shared(lost);
    path_suspect_ = true;
  } else {
    counters_.tx_drop_send.add_shared(lost);
  }
  finish(1);
}

}  // namespace tunwright
