#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <span>

namespace tunwright {

/** An IPv4 or IPv6 transport address in the kernel's form. */
class SocketAddress {
 public:
  SocketAddress() { std::memset(&storage_, 0, sizeof storage_); }

  /** `address`: 4 or 16 octets; `port` in host order. */
  SocketAddress(std::span<const uint8_t> address, uint16_t port) : SocketAddress() {
    if (address.size() == 4) {
      storage_.v4.sin_family = AF_INET;
      storage_.v4.sin_port = htons(port);
      std::memcpy(&storage_.v4.sin_addr, address.data(), 4);
    } else {
      storage_.v6.sin6_family = AF_INET6;
      storage_.v6.sin6_port = htons(port);
      std::memcpy(&storage_.v6.sin6_addr, address.data(), 16);
    }
  }

  sockaddr* get() { return &storage_.any; }
  const sockaddr* get() const { return &storage_.any; }
  int family() const { return storage_.any.sa_family; }
  socklen_t length() const { return family() == AF_INET6 ? sizeof storage_.v6 : sizeof storage_.v4; }
  static constexpr socklen_t capacity() { return sizeof(Storage); }

  uint16_t port() const { return ntohs(family() == AF_INET6 ? storage_.v6.sin6_port : storage_.v4.sin_port); }
  /** View of the address octets. */
  std::span<const uint8_t> octets() const {
    if (family() == AF_INET6) return {reinterpret_cast<const uint8_t*>(&storage_.v6.sin6_addr), 16};
    return {reinterpret_cast<const uint8_t*>(&storage_.v4.sin_addr), 4};
  }
  bool operator==(const SocketAddress& other) const {
    return family() == other.family() && port() == other.port() &&
           std::memcmp(octets().data(), other.octets().data(), octets().size()) == 0;
  }

 private:
  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  Storage storage_;
};

}  // namespace tunwright
