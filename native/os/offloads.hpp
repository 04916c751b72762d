#pragma once

namespace tunwright {

/** Work that the kernel may do for a tunnel. What it does not have, or a driver does wrong, is done packet by packet. */
struct Offloads {
  bool tun_tso = true;  // the TUN gives TCP super-packets
  bool tun_uso = true;  // and UDP ones, and takes them (Linux 6.2)
  bool udp_gso = true;  // a message carries many datagrams: UDP_SEGMENT (Linux 4.18)
  bool udp_gro = true;  // so it does when received (Linux 5.0)
};

}  // namespace tunwright
