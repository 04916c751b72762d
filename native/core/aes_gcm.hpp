#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

struct evp_cipher_ctx_st;

namespace tunwright {

/**
 * AES-GCM with a 12-octet nonce and a 16-octet tag under one key in one direction. The key is expanded once; a packet
 * costs no set-up where its nonce, as a number, is the last one plus 1. The key schedule is zeroised with the object.
 */
class AesGcm {
 public:
  enum class Direction : uint8_t { seal, open };
  static constexpr size_t kNonce = 12;
  static constexpr size_t kTag = 16;

  /** `key`: 16, 24 or 32 octets. Throws std::runtime_error when OpenSSL has no such cipher or no memory. */
  AesGcm(Direction direction, std::span<const uint8_t> key);
  ~AesGcm();
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  /** Encrypts `length` octets from `in` to `out` (the same address or disjoint) and writes the tag. */
  bool seal(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
            uint8_t* tag);

  /** False when the tag does not verify; `out` then holds garbage that must not be used. */
  bool open(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
            const uint8_t* tag);

 private:
  bool set_fixed(const uint8_t* nonce);
  bool begin_at(const uint8_t* nonce);

  evp_cipher_ctx_st* context_;
  uint8_t next_[kNonce] = {};  // the nonce that `context_` is ready to seal with
  bool ready_ = false;
};

}  // namespace tunwright
