#pragma once
#include "aes_gcm.hpp"

struct evp_cipher_ctx_st;

namespace tunwright {

/** AES-GCM by the OpenSSL of the running Node. A packet costs no set-up where its nonce, as a number, is the last one plus 1. */
class OpensslGcm final : public AesGcm {
 public:
  /** Throws std::runtime_error when OpenSSL has no such cipher or no memory. */
  OpensslGcm(Direction direction, std::span<const uint8_t> key);
  ~OpensslGcm() override;

  bool seal(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
            uint8_t* tag) override;
  bool open(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
            const uint8_t* tag) override;

 private:
  bool set_fixed(const uint8_t* nonce);
  bool begin_at(const uint8_t* nonce);

  evp_cipher_ctx_st* context_;
  uint8_t next_[kNonce] = {};  // the nonce that `context_` is ready to seal with
  bool ready_ = false;
};

}  // namespace tunwright
