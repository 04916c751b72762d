#include "raw_esp_linux.hpp"

namespace tunwright {

RawEspSocket::RawEspSocket(const SocketOptions& options, const std::optional<SocketAddress>& remote)
    : DatagramSocket(open_socket(address_family(options), SOCK_RAW, IPPROTO_ESP, options), remote) {
  bind_to_path(fd_.get(), options, 0, peer_);
}

}  // namespace tunwright
