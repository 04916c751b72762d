#pragma once
#include <napi.h>

namespace tunwright {

/** searchNat(spis, hash, steps, onDone): { cancel() } */
Napi::Value search_nat_endpoint(const Napi::CallbackInfo& info);

}  // namespace tunwright
