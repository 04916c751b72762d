#include "vaes_gcm.hpp"

#include <openssl/crypto.h>

#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>

#include "vaes_pass.hpp"

namespace tunwright {

namespace {

using vaes::kChunk;
using vaes::kPowers;
using vaes::kRegister;
using vaes::kRoundsMax;
using vaes::Pass;

class VaesGcm final : public AesGcm {
 public:
  explicit VaesGcm(std::span<const uint8_t> key) { expand(key); }
  ~VaesGcm() override { OPENSSL_cleanse(&keys_, sizeof keys_); }

  bool seal(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
            uint8_t* tag) override {
    switch (keys_.rounds) {
      case 10: return seal_with<10>(nonce, aad, in, length, out, tag);
      case 12: return seal_with<12>(nonce, aad, in, length, out, tag);
      default: return seal_with<14>(nonce, aad, in, length, out, tag);
    }
  }

  bool seal_summing(const uint8_t* nonce, std::span<const uint8_t> aad, uint8_t* in, size_t length, uint8_t* out,
                    uint8_t* tag, const LateChecksum& checksum) override {
    const bool within_head = checksum.field + 2 <= kRegister;
    if (!within_head || length > kChunk) return AesGcm::seal_summing(nonce, aad, in, length, out, tag, checksum);
    switch (keys_.rounds) {
      case 10: return seal_under<10>(nonce, aad, in, length, out, tag, checksum);
      case 12: return seal_under<12>(nonce, aad, in, length, out, tag, checksum);
      default: return seal_under<14>(nonce, aad, in, length, out, tag, checksum);
    }
  }

  bool open(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
            const uint8_t* tag) override {
    switch (keys_.rounds) {
      case 10: return open_with<10>(nonce, aad, in, length, out, tag);
      case 12: return open_with<12>(nonce, aad, in, length, out, tag);
      default: return open_with<14>(nonce, aad, in, length, out, tag);
    }
  }

  bool sums() const override { return true; }
  uint64_t opened_sum() const override { return opened_sum_; }

 private:
  VAES_CODE void expand(std::span<const uint8_t> key) {
    __m128i round_keys[kRoundsMax + 1];
    keys_.rounds = vaes::expand_key(key, round_keys);
    for (int i = 0; i <= keys_.rounds; i++) keys_.round[i] = _mm512_broadcast_i32x4(round_keys[i]);
    __m128i hash_key = round_keys[0];  // of a block of zeroes
    for (int i = 1; i < keys_.rounds; i++) hash_key = _mm_aesenc_si128(hash_key, round_keys[i]);
    hash_key = vaes::times_x(vaes::swap_octets(_mm_aesenclast_si128(hash_key, round_keys[keys_.rounds])));
    for (__m128i& power : keys_.power) power = _mm_setzero_si128();
    keys_.power[kPowers - 1] = hash_key;
    for (size_t i = kPowers - 1; i > 0; i--) keys_.power[i - 1] = vaes::multiply(keys_.power[i], hash_key);
    OPENSSL_cleanse(round_keys, sizeof round_keys);
  }

  template <class AnyPass>
  static VAES_INLINE void run(AnyPass& pass, const uint8_t* in, size_t length, uint8_t* out) {
    for (; length > kChunk; length -= kChunk) {
      pass.data(in, out, kChunk, false);
      in += kChunk;
      out += kChunk;
    }
    pass.data(in, out, length, true);
  }

  template <int kRounds>
  VAES_CODE bool seal_with(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length,
                           uint8_t* out, uint8_t* tag) const {
    Pass<kRounds, true> pass(keys_, nonce);
    pass.additional(aad);
    run(pass, in, length, out);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(tag), pass.tag());
    return true;
  }

  template <int kRounds>
  VAES_CODE bool seal_under(const uint8_t* nonce, std::span<const uint8_t> aad, uint8_t* in, size_t length, uint8_t* out,
                            uint8_t* tag, const LateChecksum& checksum) const {
    Pass<kRounds, true> pass(keys_, nonce);
    pass.additional(aad);
    pass.data_under(checksum, in, out, length);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(tag), pass.tag());
    return true;
  }

  template <int kRounds>
  VAES_CODE bool open_with(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length,
                           uint8_t* out, const uint8_t* tag) {
    const __m128i expected = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tag));
    Pass<kRounds, false> pass(keys_, nonce);
    pass.additional(aad);
    run(pass, in, length, out);
    opened_sum_ = pass.sum();
    const __m128i difference = _mm_xor_si128(expected, pass.tag());
    return _mm_testz_si128(difference, difference) == 1;
  }

  vaes::Keys keys_;
  uint64_t opened_sum_ = 0;
};

}  // namespace

/** AVX-512 includes that the operating system keeps the registers; the others, which not every compiler can name, use the same ones. */
bool vaes_supported() {
  constexpr unsigned kFeatures = 7;
  constexpr unsigned kVaes = 1 << 9;
  constexpr unsigned kVpclmulqdq = 1 << 10;
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  unsigned a = 0, b = 0, c = 0, d = 0;
  return avx512 && __get_cpuid_count(kFeatures, 0, &a, &b, &c, &d) == 1 && (c & kVaes) != 0 && (c & kVpclmulqdq) != 0;
}

std::unique_ptr<AesGcm> create_vaes_gcm(std::span<const uint8_t> key) {
  if (key.size() != 16 && key.size() != 24 && key.size() != 32)
    throw std::runtime_error("an AES key has 16, 24 or 32 octets");
  return std::make_unique<VaesGcm>(key);
}

}  // namespace tunwright

#else

namespace tunwright {

bool vaes_supported() { return false; }

std::unique_ptr<AesGcm> create_vaes_gcm(std::span<const uint8_t>) {
  throw std::runtime_error("the VAES cipher is for x86-64");
}

}  // namespace tunwright

#endif
