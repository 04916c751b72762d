#pragma once
#include <napi.h>

namespace tunwright {

/** espSeal(sa, sequence, innerPacket): Uint8Array */
Napi::Value esp_seal(const Napi::CallbackInfo& info);

/** espOpen(sa, packet, highest?): { sequence, innerPacket } | undefined */
Napi::Value esp_open(const Napi::CallbackInfo& info);

/** vaesStatus(): 'admitted' | 'unsupported' | 'wrong' */
Napi::Value get_vaes_status(const Napi::CallbackInfo& info);

/** createEspOpener(sa): NativeEspOpener */
Napi::Value create_esp_opener(const Napi::CallbackInfo& info);

/** createReplayWindow(size): NativeReplayWindow */
Napi::Value create_replay_window(const Napi::CallbackInfo& info);

}  // namespace tunwright
