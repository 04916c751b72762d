#pragma once
#include <napi.h>

namespace tunwright {

/** openNetlink(protocol, groups, onMessage, deafTo?): NativeNetlink */
Napi::Value open_netlink_socket(const Napi::CallbackInfo& info);

/** openRaw(protocol, options, onMessage): NativeRawSocket */
Napi::Value open_raw_socket(const Napi::CallbackInfo& info);

}  // namespace tunwright
