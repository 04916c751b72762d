#include "tun_linux.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "system_error.hpp"

namespace tunwright {

namespace {

// Newer than the headers of many build machines: Linux 6.2.
constexpr unsigned kTunUso4 = 0x20;
constexpr unsigned kTunUso6 = 0x40;

constexpr int kTransmitQueue = 1000;  // packets; super-packets make this plenty

ifreq request_for(const std::string& name) {
  ifreq request;
  std::memset(&request, 0, sizeof request);
  std::memcpy(request.ifr_name, name.data(), name.size() < IFNAMSIZ ? name.size() : IFNAMSIZ - 1);
  return request;
}

}  // namespace

TunDevice::TunDevice(const std::string& name, int mtu, size_t queues, const Offloads& wanted) : name_(name) {
  const short several = queues > 1 ? IFF_MULTI_QUEUE : 0;
  for (size_t i = 0; i < queues; i++) queues_.push_back(attach(several));
  if (queues > 1) {
    // A queue that is written to attracts the flows of the answers: one that is detached does not, and still takes packets.
    writer_ = attach(several);
    ifreq request = request_for(name);
    request.ifr_flags = IFF_DETACH_QUEUE;
    check(::ioctl(writer_.get(), TUNSETQUEUE, &request), "TUNSETQUEUE");
  }
  enable(wanted);
  set_carrier(false);
  ifreq request;

  FileDescriptor control(check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  request = request_for(name);
  check(::ioctl(control.get(), SIOCGIFINDEX, &request), "SIOCGIFINDEX");
  index_ = request.ifr_ifindex;
  request = request_for(name);
  request.ifr_mtu = mtu;
  check(::ioctl(control.get(), SIOCSIFMTU, &request), "SIOCSIFMTU");
  request = request_for(name);
  request.ifr_qlen = kTransmitQueue;
  // Root of a user namespace may do all of this but set the queue: there the kernel's own 500 packets must do.
  if (::ioctl(control.get(), SIOCSIFTXQLEN, &request) != 0 && errno != EPERM) throw SystemError(errno, "SIOCSIFTXQLEN");
  request = request_for(name);
  check(::ioctl(control.get(), SIOCGIFFLAGS, &request), "SIOCGIFFLAGS");
  request.ifr_flags |= IFF_UP;
  check(::ioctl(control.get(), SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
}

FileDescriptor TunDevice::attach(short more_flags) {
  FileDescriptor fd(check(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), "open /dev/net/tun"));
  ifreq request = request_for(name_);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | more_flags);
  check(::ioctl(fd.get(), TUNSETIFF, &request), "TUNSETIFF");
  return fd;
}

void TunDevice::enable(const Offloads& wanted) {
  constexpr unsigned kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  // Each step asks less; a kernel without any of them hands over single, finished packets.
  for (const unsigned offloads : {kTcp | kTunUso4 | kTunUso6, kTcp, static_cast<unsigned>(TUN_F_CSUM)}) {
    const bool unwanted = ((offloads & TUN_F_TSO4) != 0 && !wanted.tun_tso) || ((offloads & kTunUso4) != 0 && !wanted.tun_uso);
    if (unwanted || ::ioctl(queues_[0].get(), TUNSETOFFLOAD, offloads) != 0) continue;
    udp_segmentation_ = (offloads & kTunUso4) != 0;
    return;
  }
}

void TunDevice::set_mtu(int mtu) {
  const FileDescriptor control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = request_for(name_);
  request.ifr_mtu = mtu;
  ::ioctl(control.get(), SIOCSIFMTU, &request);
}

void TunDevice::set_carrier(bool up) {
  const int carrier = up ? 1 : 0;
  check(::ioctl(queues_[0].get(), TUNSETCARRIER, &carrier), "TUNSETCARRIER");
}

}  // namespace tunwright
