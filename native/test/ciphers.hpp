#pragma once
#include <vector>

#include "../core/aes_gcm.hpp"
#include "../core/vaes_admission.hpp"

/** Those that this machine admits. */
inline std::vector<tunwright::Cipher> admitted_ciphers() {
  using tunwright::Cipher;
  if (tunwright::vaes_status() == tunwright::VaesStatus::admitted) return {Cipher::openssl, Cipher::vaes};
  return {Cipher::openssl};
}
