#pragma once
#include <napi.h>

namespace tunwright {

/** openTunnel(options, onEvent): NativeTunnel */
Napi::Value open_tunnel(const Napi::CallbackInfo& info);

/** Registers the class behind NativeTunnel for this environment; to be called once per load. */
void define_tunnel(Napi::Env env, Napi::Object exports);

}  // namespace tunwright
