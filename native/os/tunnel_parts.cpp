#include "tunnel_parts.hpp"

namespace tunwright {

namespace {

std::optional<SocketAddress> peer(const TunnelOptions& options, uint16_t port) {
  if (options.remote_address.empty()) return std::nullopt;
  return SocketAddress(options.remote_address, port);
}

/** Raw sockets need CAP_NET_RAW, which a tunnel that uses UDP can do without. */
std::optional<RawEspSocket> open_raw_esp(const TunnelOptions& options) {
  try {
    return RawEspSocket(options.socket, peer(options, 0));
  } catch (const SystemError& error) {
    if (error.code() != EPERM) throw;
    return std::nullopt;
  }
}

}  // namespace

TunnelParts::TunnelParts(const TunnelOptions& options)
    : counters(std::make_shared<TunnelCounters>()),
      tun(options.interface, options.mtu, options.threads == 1 ? 1 : options.threads - 1, options.offloads),
      ike_socket(kIkePort, options.socket, peer(options, kIkePort), options.offloads),
      nat_socket(kNatPort, options.socket, peer(options, kNatPort), options.offloads),
      esp_socket(open_raw_esp(options)),
      path(options.socket, tun, static_cast<size_t>(options.mtu)),
      carrier(tun, outbound),
      readers(options.threads),
      retired_inbound(readers),
      retired_outbound(readers) {}

}  // namespace tunwright
