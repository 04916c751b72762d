// The doors of src/io/native.ts. Everything here checks arguments, calls core or os, and shapes the answer.
#include <napi.h>

#include "../core/ecdh.hpp"
#include "arguments.hpp"
#include "errors.hpp"
#include "esp_functions.hpp"
#include "nat_search.hpp"
#include "polled_socket.hpp"
#include "tunnel_object.hpp"

namespace tunwright {

namespace {

Napi::Value open_tcp_socket(const Napi::CallbackInfo& info) {
  const TcpOptions options = arguments::tcp_options(info[0]);
  return translated(info.Env(), [&] { return Napi::Number::New(info.Env(), open_tcp(options).release()); });
}

Napi::Value get_peer_credentials(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = static_cast<int>(arguments::integer(info[0], "fd", 0, INT32_MAX));
  return translated(env, [&] {
    const PeerCredentials credentials = peer_credentials(fd);
    auto result = Napi::Object::New(env);
    result.Set("pid", static_cast<double>(credentials.pid));
    result.Set("uid", static_cast<double>(credentials.uid));
    result.Set("gid", static_cast<double>(credentials.gid));
    return result;
  });
}

Napi::Value agree_ecp(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto group = static_cast<EcpGroup>(arguments::integer(info[0], "group", 19, 20));
  const size_t field = ecp_field_octets(group);
  const auto private_value = arguments::octets(info[1], "privateValue", {field});
  const auto point = arguments::octets(info[2], "point", {2 * field});
  return translated(env, [&]() -> Napi::Value {
    auto shared = Napi::Uint8Array::New(env, field);
    if (!ecdh(group, private_value, point, {shared.Data(), field})) return env.Undefined();
    return shared;
  });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  define_tunnel(env, exports);
  exports.Set("openTunnel", Napi::Function::New(env, open_tunnel));
  exports.Set("openNetlink", Napi::Function::New(env, open_netlink_socket));
  exports.Set("openTcp", Napi::Function::New(env, open_tcp_socket));
  exports.Set("openRaw", Napi::Function::New(env, open_raw_socket));
  exports.Set("peerCredentials", Napi::Function::New(env, get_peer_credentials));
  exports.Set("agreeEcp", Napi::Function::New(env, agree_ecp));
  exports.Set("espSeal", Napi::Function::New(env, esp_seal));
  exports.Set("espOpen", Napi::Function::New(env, esp_open));
  exports.Set("vaesStatus", Napi::Function::New(env, get_vaes_status));
  exports.Set("createEspOpener", Napi::Function::New(env, create_esp_opener));
  exports.Set("searchNat", Napi::Function::New(env, search_nat_endpoint));
  exports.Set("createReplayWindow", Napi::Function::New(env, create_replay_window));
  return exports;
}

}  // namespace

NODE_API_MODULE(tunwright, initialise)

}  // namespace tunwright
