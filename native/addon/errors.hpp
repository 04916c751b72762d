#pragma once
#include <napi.h>

#include <string>

#include "../os/system_error.hpp"

namespace tunwright {

/** errno as a name: 13 is "EACCES". */
std::string error_name(int code);

/** An Error whose message is "call: text", with `code` (errno name) and `syscall`. */
Napi::Error system_error(Napi::Env env, int code, const char* call);

/** Runs `body`; what the kernel or OpenSSL refused becomes a JavaScript exception. */
template <typename Body>
auto translated(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const SystemError& error) {
    throw system_error(env, error.code(), error.call());
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Napi::Error::New(env, error.what());
  }
}

/** For callbacks that no JavaScript called: an exception out of a listener is an uncaught exception of the process. */
inline void report_uncaught(Napi::Env env, const Napi::Error& error) { napi_fatal_exception(env, error.Value()); }

}  // namespace tunwright
