#pragma once
// From JavaScript values to C++ ones. Each function throws a TypeError that names the argument, what was expected and
// what came.
#include <napi.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "../core/esp.hpp"
#include "../os/control_sockets.hpp"
#include "../os/socket_address.hpp"
#include "../os/tunnel.hpp"

namespace tunwright::arguments {

/** A whole number within [least, most]. */
int64_t integer(const Napi::Value& value, const std::string& name, int64_t least, int64_t most);
bool boolean(const Napi::Value& value, const std::string& name);
std::string text(const Napi::Value& value, const std::string& name, size_t longest);
Napi::Object object(const Napi::Value& value, const std::string& name);
Napi::Function function(const Napi::Value& value, const std::string& name);
/** A BigInt from 0 to 2^64 - 1. */
uint64_t big_uint(const Napi::Value& value, const std::string& name);

/** A BigInt that may be the sequence number of a packet. */
uint64_t sequence_number(const Napi::Value& value, const std::string& name, bool esn);

/** View of a Uint8Array: valid during the call. */
std::span<const uint8_t> octets(const Napi::Value& value, const std::string& name);
/** The same with one of the given lengths. */
std::span<const uint8_t> octets(const Napi::Value& value, const std::string& name, std::initializer_list<size_t> lengths);
SocketAddress socket_address(const Napi::Value& address, const Napi::Value& port);

SaKeys sa_keys(const Napi::Object& sa);
/** `nextSequence`, 1 when left out. */
uint64_t next_sequence(const Napi::Object& sa, bool esn);
Encapsulation encapsulation(const Napi::Value& value);
CaptureSide capture_side(const Napi::Value& value);
uint32_t replay_window(const Napi::Value& value);
SocketOptions socket_options(const Napi::Object& options);
TcpOptions tcp_options(const Napi::Value& value);
TunnelOptions tunnel_options(const Napi::Value& value);

}  // namespace tunwright::arguments
