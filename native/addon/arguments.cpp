#include "arguments.hpp"

#include <sched.h>

#include <cmath>

namespace tunwright::arguments {

namespace {

constexpr size_t kInterfaceNameMax = 15;
constexpr int kMtuMin = 576;
constexpr int kMtuMax = 9216;
constexpr size_t kOffloadNameMax = 7;
constexpr int kThreadsMax = 16;
constexpr int kBusyPollMaxUs = 1000;
constexpr size_t kMd5KeyMax = 80;  // TCP_MD5SIG_MAXKEYLEN
constexpr int kMssMin = 88;  // what TCP_MAXSEG takes
constexpr int kMssMax = 32767;

std::string describe(const Napi::Value& value) {
  switch (value.Type()) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean:
    case napi_number: return value.ToString();
    case napi_bigint: return "a bigint";
    case napi_string: return "a string of " + std::to_string(value.As<Napi::String>().Utf8Value().size()) + " octets";
    case napi_function: return "a function";
    default: break;
  }
  if (value.IsTypedArray()) return std::to_string(value.As<Napi::TypedArray>().ByteLength()) + " octets";
  return "an object";
}

[[noreturn]] void mismatch(const Napi::Value& value, const std::string& name, const std::string& expected) {
  throw Napi::TypeError::New(value.Env(), name + ": expected " + expected + ", got " + describe(value));
}

std::optional<int> optional_integer(const Napi::Object& options, const char* name, int least, int most) {
  const Napi::Value value = options.Get(name);
  if (value.IsUndefined()) return std::nullopt;
  return static_cast<int>(integer(value, name, least, most));
}

std::vector<uint8_t> address(const Napi::Value& value, const std::string& name) {
  const auto view = octets(value, name, {4, 16});
  return {view.begin(), view.end()};
}

/** All but those that are named. */
Offloads offloads(const Napi::Value& without) {
  Offloads result;
  if (without.IsUndefined()) return result;
  if (!without.IsArray()) mismatch(without, "without", "an array of names");
  const auto array = without.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) {
    const std::string name = text(array.Get(i), "without", kOffloadNameMax);
    if (name == "tun-tso") result.tun_tso = false;
    else if (name == "tun-uso") result.tun_uso = false;
    else if (name == "udp-gso") result.udp_gso = false;
    else if (name == "udp-gro") result.udp_gro = false;
    else mismatch(array.Get(i), "without", "tun-tso, tun-uso, udp-gso or udp-gro");
  }
  return result;
}

std::vector<int> processors(const Napi::Value& value) {
  if (value.IsUndefined()) return {};
  if (!value.IsArray()) mismatch(value, "processors", "an array of processor numbers");
  const auto array = value.As<Napi::Array>();
  std::vector<int> result;
  for (uint32_t i = 0; i < array.Length(); i++)
    result.push_back(static_cast<int>(integer(array.Get(i), "processors", 0, CPU_SETSIZE - 1)));
  return result;
}

}  // namespace

int64_t integer(const Napi::Value& value, const std::string& name, int64_t least, int64_t most) {
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (std::trunc(number) == number && number >= static_cast<double>(least) && number <= static_cast<double>(most))
      return static_cast<int64_t>(number);
  }
  mismatch(value, name, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
}

bool boolean(const Napi::Value& value, const std::string& name) {
  if (!value.IsBoolean()) mismatch(value, name, "true or false");
  return value.As<Napi::Boolean>().Value();
}

std::string text(const Napi::Value& value, const std::string& name, size_t longest) {
  if (value.IsString()) {
    std::string string = value.As<Napi::String>().Utf8Value();
    const bool fits = !string.empty() && string.size() <= longest;
    if (fits && string.find('\0') == std::string::npos) return string;
  }
  mismatch(value, name, "a string of 1 to " + std::to_string(longest) + " octets");
}

Napi::Object object(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) mismatch(value, name, "an object");
  return value.As<Napi::Object>();
}

Napi::Function function(const Napi::Value& value, const std::string& name) {
  if (!value.IsFunction()) mismatch(value, name, "a function");
  return value.As<Napi::Function>();
}

uint64_t big_uint(const Napi::Value& value, const std::string& name) {
  bool lossless = false;
  uint64_t number = 0;
  if (value.IsBigInt()) number = value.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) mismatch(value, name, "a bigint from 0 to 2^64 - 1");
  return number;
}

std::span<const uint8_t> octets(const Napi::Value& value, const std::string& name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    mismatch(value, name, "a Uint8Array");
  const auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ByteLength()};
}

std::span<const uint8_t> octets(const Napi::Value& value, const std::string& name,
                                std::initializer_list<size_t> lengths) {
  std::string expected;
  for (const size_t length : lengths) expected += (expected.empty() ? "" : " or ") + std::to_string(length);
  expected += " octets";
  if (!value.IsTypedArray()) mismatch(value, name, expected);
  const auto view = octets(value, name);
  for (const size_t length : lengths) {
    if (view.size() == length) return view;
  }
  mismatch(value, name, expected);
}

SocketAddress socket_address(const Napi::Value& value, const Napi::Value& port) {
  const auto view = octets(value, "remoteAddress", {4, 16});
  return SocketAddress(view, static_cast<uint16_t>(integer(port, "remotePort", 1, 65535)));
}

uint64_t sequence_number(const Napi::Value& value, const std::string& name, bool esn) {
  const uint64_t sequence = big_uint(value, name);
  const uint64_t last = esn ? UINT64_MAX - 1 : UINT32_MAX - 1;
  if (sequence == 0 || sequence > last)
    throw Napi::TypeError::New(value.Env(), name + ": expected 1 to " + std::to_string(last));
  return sequence;
}

namespace {

Cipher cipher(const Napi::Value& value) {
  if (value.IsUndefined()) return Cipher::openssl;
  const std::string name = text(value, "sa.cipher", 7);
  if (name == "openssl") return Cipher::openssl;
  if (name == "vaes") return Cipher::vaes;
  mismatch(value, "sa.cipher", "openssl or vaes");
}

}  // namespace

SaKeys sa_keys(const Napi::Object& sa) {
  return {
      .spi = static_cast<uint32_t>(integer(sa.Get("spi"), "sa.spi", 256, UINT32_MAX)),
      .key = octets(sa.Get("key"), "sa.key", {16, 24, 32}),
      .salt = octets(sa.Get("salt"), "sa.salt", {4}),
      .esn = boolean(sa.Get("esn"), "sa.esn"),
      .cipher = cipher(sa.Get("cipher")),
  };
}

uint64_t next_sequence(const Napi::Object& sa, bool esn) {
  const Napi::Value value = sa.Get("nextSequence");
  return value.IsUndefined() ? 1 : sequence_number(value, "sa.nextSequence", esn);
}

Encapsulation encapsulation(const Napi::Value& value) {
  const std::string name = text(value, "encapsulation", 3);
  if (name == "udp") return Encapsulation::udp;
  if (name == "esp") return Encapsulation::esp;
  mismatch(value, "encapsulation", "udp or esp");
}

CaptureSide capture_side(const Napi::Value& value) {
  const std::string name = text(value, "side", 5);
  if (name == "inner") return CaptureSide::inner;
  if (name == "outer") return CaptureSide::outer;
  mismatch(value, "side", "inner or outer");
}

uint32_t replay_window(const Napi::Value& value) {
  const int64_t size = integer(value, "replayWindow", 64, 65536);
  if (!ReplayWindow::valid_size(static_cast<uint32_t>(size))) mismatch(value, "replayWindow", "a power of two");
  return static_cast<uint32_t>(size);
}

SocketOptions socket_options(const Napi::Object& options) {
  SocketOptions result;
  const Napi::Value mark = options.Get("mark");
  if (!mark.IsUndefined()) result.mark = static_cast<uint32_t>(integer(mark, "mark", 0, UINT32_MAX));
  const Napi::Value device = options.Get("device");
  if (!device.IsUndefined()) result.device = text(device, "device", kInterfaceNameMax);
  const Napi::Value local = options.Get("localAddress");
  if (!local.IsUndefined()) result.local_address = address(local, "localAddress");
  return result;
}

std::vector<Md5Key> md5_keys(const Napi::Value& value) {
  std::vector<Md5Key> keys;
  if (value.IsUndefined()) return keys;
  if (!value.IsArray()) mismatch(value, "md5", "an array of peers and keys");
  const auto list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Object item = object(list.Get(i), "md5");
    const auto key = octets(item.Get("key"), "md5.key");
    if (key.empty() || key.size() > kMd5KeyMax) mismatch(item.Get("key"), "md5.key", "1 to 80 octets");
    keys.push_back({address(item.Get("peer"), "md5.peer"), {key.begin(), key.end()}});
  }
  return keys;
}

TcpOptions tcp_options(const Napi::Value& value) {
  const Napi::Object options = object(value, "options");
  TcpOptions result;
  result.socket = socket_options(options);
  result.local_port = static_cast<uint16_t>(optional_integer(options, "localPort", 0, 65535).value_or(0));
  const Napi::Value listen = options.Get("listen");
  result.listen = !listen.IsUndefined() && boolean(listen, "listen");
  result.ttl = optional_integer(options, "ttl", 1, 255);
  result.max_segment = optional_integer(options, "maxSegment", kMssMin, kMssMax);
  result.user_timeout_ms = optional_integer(options, "userTimeoutMs", 0, INT32_MAX);
  result.tos = optional_integer(options, "tos", 0, 255);
  result.min_ttl = optional_integer(options, "minTtl", 1, 255);
  result.md5_keys = md5_keys(options.Get("md5"));
  return result;
}

TunnelOptions tunnel_options(const Napi::Value& value) {
  const Napi::Object options = object(value, "options");
  TunnelOptions result;
  result.interface = text(options.Get("interface"), "interface", kInterfaceNameMax);
  result.mtu = static_cast<int>(integer(options.Get("mtu"), "mtu", kMtuMin, kMtuMax));
  result.socket = socket_options(options);
  result.socket.local_address = address(options.Get("localAddress"), "localAddress");
  const Napi::Value remote = options.Get("remoteAddress");
  if (!remote.IsUndefined()) {
    result.remote_address = address(remote, "remoteAddress");
    if (result.remote_address.size() != result.socket.local_address.size())
      mismatch(remote, "remoteAddress", "an address of the family of localAddress");
  }
  const Napi::Value copy_dscp = options.Get("copyDscp");
  result.copy_dscp = !copy_dscp.IsUndefined() && boolean(copy_dscp, "copyDscp");
  result.threads = static_cast<size_t>(optional_integer(options, "threads", 1, kThreadsMax).value_or(1));
  result.offloads = offloads(options.Get("without"));
  result.processors = processors(options.Get("processors"));
  result.busy_poll_us = static_cast<uint32_t>(optional_integer(options, "busyPollUs", 0, kBusyPollMaxUs).value_or(0));
  return result;
}

}  // namespace tunwright::arguments
