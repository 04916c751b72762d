#pragma once
#include <cerrno>
#include <exception>

namespace tunwright {

/** The kernel refused a call. Thrown while opening and configuring, never on the packet path. */
class SystemError : public std::exception {
 public:
  SystemError(int code, const char* call) : code_(code), call_(call) {}

  /** An errno value. */
  int code() const { return code_; }
  /** What was asked of the kernel, such as "bind" or "TUNSETIFF"; a literal. */
  const char* call() const { return call_; }
  const char* what() const noexcept override { return call_; }

 private:
  int code_;
  const char* call_;
};

/** Passes a successful result on; throws SystemError with errno on -1. */
template <typename T>
T check(T result, const char* call) {
  if (result == -1) throw SystemError(errno, call);
  return result;
}

}  // namespace tunwright
