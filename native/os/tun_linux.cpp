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

TunDevice::TunDevice(const std::string& name, int mtu)
    : name_(name), fd_(check(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), "open /dev/net/tun")) {
  ifreq request = request_for(name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  check(::ioctl(fd_.get(), TUNSETIFF, &request), "TUNSETIFF");
  enable_offloads();

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

void TunDevice::enable_offloads() {
  constexpr unsigned kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  // Each step asks less; a kernel without any of them hands over single, finished packets.
  for (const unsigned offloads : {kTcp | kTunUso4 | kTunUso6, kTcp, static_cast<unsigned>(TUN_F_CSUM)}) {
    if (::ioctl(fd_.get(), TUNSETOFFLOAD, offloads) != 0) continue;
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
  check(::ioctl(fd_.get(), TUNSETCARRIER, &carrier), "TUNSETCARRIER");
}

}  // namespace tunwright
