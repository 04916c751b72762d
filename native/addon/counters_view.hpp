#pragma once
#include <napi.h>

#include <memory>

namespace tunwright {

/** A BigUint64Array over a struct of counters, which lives at least as long as the array. */
template <typename Counters>
Napi::Value counters_view(Napi::Env env, const std::shared_ptr<Counters>& counters) {
  auto* owner = new std::shared_ptr<Counters>(counters);
  const auto release = [](Napi::Env, void*, std::shared_ptr<Counters>* held) { delete held; };
  const auto buffer = Napi::ArrayBuffer::New(env, counters.get(), sizeof(Counters), release, owner);
  return Napi::BigUint64Array::New(env, sizeof(Counters) / sizeof(uint64_t), buffer, 0);
}

}  // namespace tunwright
