#pragma once
#include <time.h>

#include "../core/capture.hpp"
#include "socket_address.hpp"

namespace tunwright {

/** Of a packet inside the tunnel, now. */
inline CaptureMark inner_mark(bool sent) {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  CaptureMark mark;
  mark.time_ns = static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
  mark.sent = sent;
  return mark;
}

/** Of a packet outside, now; `local_port` 0: without UDP. */
inline CaptureMark outer_mark(bool sent, uint16_t local_port, const SocketAddress& remote) {
  CaptureMark mark = inner_mark(sent);
  mark.local_port = local_port;
  mark.remote_port = remote.port();
  const auto octets = remote.octets();
  mark.remote_length = static_cast<uint8_t>(octets.size());
  std::copy(octets.begin(), octets.end(), mark.remote);
  return mark;
}

}  // namespace tunwright
