#include "openssl_gcm.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstring>
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

/*
 * Setting a nonce the general way, EVP_CipherInit_ex2, costs as much as encrypting 200 octets: it asks for the nonce's length, which is
 * a search through lists of names. The parameters made for TLS records (provider-cipher(7)) go without: "tlsivgen" gives the
 * nonce that comes next by counting on, and takes effect at once; "tlsivinv" takes a received one.
 */

OpensslGcm::OpensslGcm(Direction direction, std::span<const uint8_t> key) : context_(EVP_CIPHER_CTX_new()) {
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, cipher_name(key.size()), nullptr);
  const int encrypt = direction == Direction::seal ? 1 : 0;
  const bool ready =
      context_ != nullptr && cipher != nullptr &&
      EVP_CipherInit_ex2(context_, cipher, key.data(), nullptr, encrypt, nullptr) == 1 && set_fixed(next_);
  EVP_CIPHER_free(cipher);  // the context holds its own reference
  if (!ready) {
    EVP_CIPHER_CTX_free(context_);
    throw std::runtime_error("OpenSSL refused to set up AES-GCM");
  }
}

OpensslGcm::~OpensslGcm() {
  EVP_CIPHER_CTX_free(context_);
  OPENSSL_cleanse(next_, sizeof next_);
}

bool OpensslGcm::seal(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
                  uint8_t* tag) {
  if ((!ready_ || std::memcmp(nonce, next_, kNonce) != 0) && !begin_at(nonce)) return false;
  int written = 0;
  int final_written = 0;
  // OpenSSL answers in the order tag, nonce, whatever the order here.
  OSSL_PARAM results[] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, kTag),
                          OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, next_, kNonce),
                          OSSL_PARAM_construct_end()};
  ready_ = EVP_EncryptUpdate(context_, nullptr, &written, aad.data(), static_cast<int>(aad.size())) == 1 &&
           EVP_EncryptUpdate(context_, out, &written, in, static_cast<int>(length)) == 1 &&
           EVP_EncryptFinal_ex(context_, out + written, &final_written) == 1 &&
           EVP_CIPHER_CTX_get_params(context_, results) == 1;
  return ready_;
}

bool OpensslGcm::open(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
                  const uint8_t* tag) {
  int written = 0;
  int final_written = 0;
  // OpenSSL only reads through these parameters; their type has no const form.
  const OSSL_PARAM received[] = {
      OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, const_cast<uint8_t*>(tag), kTag),
      OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV, const_cast<uint8_t*>(nonce), kNonce),
      OSSL_PARAM_construct_end()};
  return EVP_CIPHER_CTX_set_params(context_, received) == 1 &&
         EVP_DecryptUpdate(context_, nullptr, &written, aad.data(), static_cast<int>(aad.size())) == 1 &&
         EVP_DecryptUpdate(context_, out, &written, in, static_cast<int>(length)) == 1 &&
         EVP_DecryptFinal_ex(context_, out + written, &final_written) == 1;
}

bool OpensslGcm::set_fixed(const uint8_t* nonce) {
  constexpr int kWhole = -1;
  return EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_IV_FIXED, kWhole, const_cast<uint8_t*>(nonce)) == 1;
}

bool OpensslGcm::begin_at(const uint8_t* nonce) {
  OSSL_PARAM first[] = {OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, next_, kNonce),
                        OSSL_PARAM_construct_end()};
  return set_fixed(nonce) && EVP_CIPHER_CTX_get_params(context_, first) == 1 && std::memcmp(nonce, next_, kNonce) == 0;
}

}  // namespace tunwright
