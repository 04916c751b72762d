#include "errors.hpp"

#include <uv.h>

#include <cstring>

namespace tunwright {

std::string error_name(int code) {
  char name[64];
  uv_err_name_r(-code, name, sizeof name);
  return name;
}

Napi::Error system_error(Napi::Env env, int code, const char* call) {
  Napi::Error error = Napi::Error::New(env, std::string(call) + ": " + std::strerror(code));
  error.Set("code", Napi::String::New(env, error_name(code)));
  error.Set("syscall", Napi::String::New(env, call));
  error.Set("errno", Napi::Number::New(env, -code));
  return error;
}

}  // namespace tunwright
