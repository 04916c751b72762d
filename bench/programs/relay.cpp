// TUN to UDP and back with every offload of the packet path and no ESP: what a tunnel in userspace costs before any
// cryptography. The same segmenter and coalescer as the product's, with a copy in the place of the cipher.
//
//   relay INTERFACE MTU LOCAL_ADDRESS REMOTE_ADDRESS PORT
#include <netinet/udp.h>
#include <poll.h>
#include <sys/uio.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../../native/core/bytes.hpp"
#include "../../native/core/coalescer.hpp"
#include "../../native/core/ip_packet.hpp"
#include "../../native/core/segmenter.hpp"
#include "../../native/core/train.hpp"
#include "../../native/os/arena.hpp"
#include "../../native/os/socket_address.hpp"
#include "../../native/os/system_error.hpp"
#include "../../native/os/tun_linux.hpp"

namespace {

using namespace tunwright;

constexpr size_t kFrame = sizeof(VirtioHeader) + 65536;
constexpr int kMessages = 8;
constexpr int kReads = 64;
constexpr int kUdpGro = 104;
constexpr int kBuffer = 8 << 20;

int open_udp(const SocketAddress& local, const SocketAddress& remote) {
  const int fd = check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  const int one = 1;
  for (const int option : {SO_SNDBUFFORCE, SO_RCVBUFFORCE})
    check(::setsockopt(fd, SOL_SOCKET, option, &kBuffer, sizeof kBuffer), "buffer");
  check(::setsockopt(fd, IPPROTO_UDP, kUdpGro, &one, sizeof one), "UDP_GRO");
  check(::bind(fd, local.get(), local.length()), "bind");
  check(::connect(fd, remote.get(), remote.length()), "connect");
  return fd;
}

class Relay : private FrameSink {
 public:
  Relay(const char* interface, int mtu, const SocketAddress& local, const SocketAddress& remote)
      : tun_(interface, mtu, 1),
        udp_(open_udp(local, remote)),
        arena_(64 << 20),
        frame_(arena_.take(kFrame)),
        train_(arena_.take(65536)),
        coalescer_(flow_buffers(), tun_.udp_segmentation(), *this) {
    tun_.set_carrier(true);
    for (size_t i = 0; i < kMessages; i++) {
      parts_[i] = {arena_.take(65536), 65536};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
      messages_[i].msg_hdr.msg_control = controls_[i].bytes;
    }
  }

  [[noreturn]] void run() {
    pollfd watched[2] = {{tun_.queue(0), POLLIN, 0}, {udp_, POLLIN, 0}};
    for (;;) {
      check(::poll(watched, 2, -1), "poll");
      if (watched[0].revents != 0) send();
      if (watched[1].revents != 0) receive();
    }
  }

 private:
  std::array<uint8_t*, Coalescer::kFlows> flow_buffers() {
    std::array<uint8_t*, Coalescer::kFlows> buffers;
    for (uint8_t*& buffer : buffers) buffer = arena_.take(Coalescer::kBuffer);
    return buffers;
  }

  void send() {
    for (int i = 0; i < kReads; i++) {
      const ssize_t length = ::read(tun_.queue(0), frame_, kFrame);
      if (length <= static_cast<ssize_t>(sizeof(VirtioHeader))) break;
      VirtioHeader header;
      std::memcpy(&header, frame_, sizeof header);
      if (!segmenter_.start(header, frame_ + sizeof header, static_cast<size_t>(length) - sizeof header)) continue;
      Segmenter::Packet packet;
      while (segmenter_.next(packet)) {
        if (!train_.accepts(packet.length, 0, true)) depart();
        std::memcpy(train_.tail(), packet.data, packet.length);
        train_.append(packet.length, 0);
      }
    }
    depart();
  }

  /** A full socket buffer loses the train, as a full queue on the way would. */
  void depart() {
    if (train_.packets() == 0) return;
    const std::span<uint8_t> octets = train_.octets();
    iovec part{octets.data(), octets.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))]{};
    if (train_.packets() > 1) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* segment = CMSG_FIRSTHDR(&message);
      segment->cmsg_level = IPPROTO_UDP;
      segment->cmsg_type = 103;  // UDP_SEGMENT
      segment->cmsg_len = CMSG_LEN(sizeof(uint16_t));
      const uint16_t size = static_cast<uint16_t>(train_.packet(0).size());
      std::memcpy(CMSG_DATA(segment), &size, sizeof size);
    }
    [[maybe_unused]] const ssize_t sent = ::sendmsg(udp_, &message, MSG_DONTWAIT);
    train_.clear();
  }

  void receive() {
    for (mmsghdr& message : messages_) message.msg_hdr.msg_controllen = sizeof(Control);
    const int received = ::recvmmsg(udp_, messages_.data(), kMessages, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < received; i++) {
      const size_t n = static_cast<size_t>(i);
      const uint8_t* data = static_cast<const uint8_t*>(parts_[n].iov_base);
      const size_t length = messages_[n].msg_len;
      const size_t step = segment_size(messages_[n].msg_hdr, length);
      for (size_t at = 0; at < length; at += step) deliver(data + at, std::min(step, length - at));
    }
    coalescer_.flush();
  }

  void deliver(const uint8_t* packet, size_t length) {
    uint8_t* landing = coalescer_.landing(length);
    std::memcpy(landing, packet, length);
    const size_t inner = ip_length(landing, length, packet[0] >> 4 == 4 ? 4 : 41);
    if (inner == 0) coalescer_.discard();
    else coalescer_.accept(inner);
  }

  static size_t segment_size(msghdr& message, size_t whole) {
    const cmsghdr* control = CMSG_FIRSTHDR(&message);
    if (control == nullptr || control->cmsg_type != kUdpGro) return whole;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(control), sizeof size);
    return size > 0 ? static_cast<size_t>(size) : whole;
  }

  void write_frame(const uint8_t* frame, size_t length, size_t) override {
    [[maybe_unused]] const ssize_t written = ::write(tun_.writer(), frame, length);
  }

  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
  };

  TunDevice tun_;
  const int udp_;
  Arena arena_;
  uint8_t* frame_;
  Train train_;
  Segmenter segmenter_;
  Coalescer coalescer_;
  std::array<mmsghdr, kMessages> messages_{};
  std::array<iovec, kMessages> parts_{};
  std::array<Control, kMessages> controls_{};
};

SocketAddress address_of(const char* address, const char* port) {
  uint8_t octets[4];
  if (::inet_pton(AF_INET, address, octets) != 1) throw SystemError(EINVAL, "address");
  return {octets, static_cast<uint16_t>(std::atoi(port))};
}

}  // namespace

int main(int count, char** words) {
  if (count != 6) {
    std::fprintf(stderr, "usage: relay INTERFACE MTU LOCAL_ADDRESS REMOTE_ADDRESS PORT\n");
    return 2;
  }
  try {
    Relay relay(words[1], std::atoi(words[2]), address_of(words[3], words[5]), address_of(words[4], words[5]));
    std::printf("ready\n");
    std::fflush(stdout);
    relay.run();
  } catch (const SystemError& error) {
    std::fprintf(stderr, "relay: %s: %s\n", error.call(), std::strerror(error.code()));
    return 1;
  }
}
