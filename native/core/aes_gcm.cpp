#include "aes_gcm.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <stdexcept>

namespace tunwright {

namespace {

const char* cipher_name(size_t key_length) {
  switch (key_length) {
    case 16: return "AES-128-GCM";
    case 24: return "AES-192-GCM";
    case 32: return "AES-256-GCM";
    default: throw std::runtime_error("an AES key has 16, 24 or 32 octets");
  }
}

}  // namespace

AesGcm::AesGcm(Direction direction, std::span<const uint8_t> key) : context_(EVP_CIPHER_CTX_new()) {
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, cipher_name(key.size()), nullptr);
  const int encrypt = direction == Direction::seal ? 1 : 0;
  const bool ready =
      context_ != nullptr && cipher != nullptr && EVP_CipherInit_ex2(context_, cipher, key.data(), nullptr, encrypt, nullptr) == 1;
  EVP_CIPHER_free(cipher);  // the context holds its own reference
  if (!ready) {
    EVP_CIPHER_CTX_free(context_);
    throw std::runtime_error("OpenSSL refused to set up AES-GCM");
  }
}

AesGcm::~AesGcm() { EVP_CIPHER_CTX_free(context_); }

bool AesGcm::seal(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
                  uint8_t* tag) {
  int written = 0;
  int final_written = 0;
  OSSL_PARAM tag_parameter[] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, kTag),
                                OSSL_PARAM_construct_end()};
  return EVP_EncryptInit_ex2(context_, nullptr, nullptr, nonce, nullptr) == 1 &&
         EVP_EncryptUpdate(context_, nullptr, &written, aad.data(), static_cast<int>(aad.size())) == 1 &&
         EVP_EncryptUpdate(context_, out, &written, in, static_cast<int>(length)) == 1 &&
         EVP_EncryptFinal_ex(context_, out + written, &final_written) == 1 &&
         EVP_CIPHER_CTX_get_params(context_, tag_parameter) == 1;
}

bool AesGcm::open(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
                  const uint8_t* tag) {
  int written = 0;
  int final_written = 0;
  // OpenSSL only reads the tag through this parameter; its type has no const form.
  const OSSL_PARAM tag_parameter[] = {
      OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, const_cast<uint8_t*>(tag), kTag),
      OSSL_PARAM_construct_end()};
  return EVP_DecryptInit_ex2(context_, nullptr, nullptr, nonce, tag_parameter) == 1 &&
         EVP_DecryptUpdate(context_, nullptr, &written, aad.data(), static_cast<int>(aad.size())) == 1 &&
         EVP_DecryptUpdate(context_, out, &written, in, static_cast<int>(length)) == 1 &&
         EVP_DecryptFinal_ex(context_, out + written, &final_written) == 1;
}

}  // namespace tunwright
