#include "esp_functions.hpp"

#include <memory>
#include <vector>

#include "../core/ip_packet.hpp"
#include "../core/vaes_admission.hpp"
#include "arguments.hpp"
#include "errors.hpp"

namespace tunwright {

namespace {

constexpr size_t kInnerMax = 65535;

const char* verdict_name(ReplayWindow::Verdict verdict) {
  switch (verdict) {
    case ReplayWindow::Verdict::fresh: return "fresh";
    case ReplayWindow::Verdict::replayed: return "replayed";
    case ReplayWindow::Verdict::too_old: break;
  }
  return "too-old";
}

const char* verdict_name(EspVerdict verdict) {
  switch (verdict) {
    case EspVerdict::dummy: return "dummy";
    case EspVerdict::replayed: return "replayed";
    case EspVerdict::not_authentic: return "not-authentic";
    case EspVerdict::malformed:
    case EspVerdict::ok: break;
  }
  return "malformed";
}

/** { sequence, innerPacket }, or the name of the verdict. */
Napi::Value opened_packet(Napi::Env env, EspOpener& opener, std::span<const uint8_t> packet) {
  std::vector<uint8_t> inner(packet.size());
  const EspOpener::Opened opened = opener.open(packet.data(), packet.size(), inner.data());
  const bool decrypted = opened.verdict == EspVerdict::ok;
  const size_t length = decrypted ? ip_length(inner.data(), opened.length, opened.next_header) : 0;
  if (length == 0) return Napi::String::New(env, verdict_name(opened.verdict));
  auto inner_packet = Napi::Uint8Array::New(env, length);
  std::memcpy(inner_packet.Data(), inner.data(), length);
  auto result = Napi::Object::New(env);
  result.Set("sequence", Napi::BigInt::New(env, opened.sequence));
  result.Set("innerPacket", inner_packet);
  return result;
}

}  // namespace

Napi::Value esp_seal(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const SaKeys keys = arguments::sa_keys(arguments::object(info[0], "sa"));
  const uint64_t sequence = arguments::sequence_number(info[1], "sequence", keys.esn);
  const auto packet = arguments::octets(info[2], "innerPacket");
  const uint8_t next_header = packet.empty() ? 0 : ip_next_header(packet.data());
  if (next_header == 0 || packet.size() > kInnerMax)
    throw Napi::TypeError::New(env, "innerPacket: expected an IPv4 or IPv6 packet of at most 65535 octets");
  return translated(env, [&] {
    SequenceSpace numbers(keys.esn);
    numbers.set_next(sequence);
    EspSealer sealer(keys, numbers);
    std::vector<uint8_t> inner(packet.begin(), packet.end());
    inner.resize(packet.size() + kEspTrailerMax);
    auto sealed = Napi::Uint8Array::New(env, esp_size(packet.size()));
    if (sealer.seal(inner.data(), packet.size(), next_header, sealed.Data()) == 0)
      throw std::runtime_error("OpenSSL refused to seal the packet");
    return sealed;
  });
}

Napi::Value esp_open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const SaKeys keys = arguments::sa_keys(arguments::object(info[0], "sa"));
  const auto packet = arguments::octets(info[1], "packet");
  const uint64_t highest = info[2].IsUndefined() ? 0 : arguments::big_uint(info[2], "highest");

  return translated(env, [&]() -> Napi::Value {
    EspOpener opener(keys, 64);
    if (highest != 0) opener.window().mark(highest);
    const Napi::Value opened = opened_packet(env, opener, packet);
    return opened.IsObject() ? opened : env.Undefined();
  });
}

Napi::Value get_vaes_status(const Napi::CallbackInfo& info) {
  switch (vaes_status()) {
    case VaesStatus::admitted: return Napi::String::New(info.Env(), "admitted");
    case VaesStatus::unsupported: return Napi::String::New(info.Env(), "unsupported");
    case VaesStatus::wrong: break;
  }
  return Napi::String::New(info.Env(), "wrong");
}

Napi::Value create_esp_opener(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object sa = arguments::object(info[0], "sa");
  const SaKeys keys = arguments::sa_keys(sa);
  const uint32_t window = arguments::replay_window(sa.Get("replayWindow"));
  return translated(env, [&]() -> Napi::Value {
    const auto opener = std::make_shared<EspOpener>(keys, window);
    auto object = Napi::Object::New(env);
    object.Set("open", Napi::Function::New(env, [opener](const Napi::CallbackInfo& call) -> Napi::Value {
                 const auto packet = arguments::octets(call[0], "packet");
                 return translated(call.Env(), [&] { return opened_packet(call.Env(), *opener, packet); });
               }));
    object.Set("gaps", Napi::Function::New(env, [opener](const Napi::CallbackInfo& call) -> Napi::Value {
                 auto gaps = Napi::Object::New(call.Env());
                 gaps.Set("missing", Napi::BigInt::New(call.Env(), opener->window().missing()));
                 gaps.Set("reordered", Napi::BigInt::New(call.Env(), opener->window().reordered()));
                 return gaps;
               }));
    return object;
  });
}

Napi::Value create_replay_window(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto window = std::make_shared<ReplayWindow>(arguments::replay_window(info[0]));
  auto object = Napi::Object::New(env);
  object.Set("check", Napi::Function::New(env, [window](const Napi::CallbackInfo& call) -> Napi::Value {
               const uint64_t sequence = arguments::big_uint(call[0], "sequence");
               return Napi::String::New(call.Env(), verdict_name(window->check(sequence)));
             }));
  object.Set("mark", Napi::Function::New(env, [window](const Napi::CallbackInfo& call) {
               window->mark(arguments::big_uint(call[0], "sequence"));
             }));
  return object;
}

}  // namespace tunwright
