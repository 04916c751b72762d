#include "../core/aes_gcm.hpp"

#include <algorithm>

#include "check.hpp"

using namespace tunwright;

namespace {

struct Vector {
  const char* name;
  const char* key;
  const char* nonce;
  const char* aad;
  const char* plaintext;
  const char* ciphertext;
  const char* tag;
  bool valid;
};
const Vector kVectors[] = {
#include "mcgrew.inc"      // test/vectors/crypto/aes-gcm-esp.json
#include "wycheproof.inc"  // test/vectors/wycheproof/aes_gcm_test.json
};

struct Sealed {
  std::vector<uint8_t> ciphertext;
  std::vector<uint8_t> tag;
  bool operator==(const Sealed&) const = default;
};

Sealed seal(AesGcm& gcm, const std::vector<uint8_t>& nonce, const std::vector<uint8_t>& aad,
            const std::vector<uint8_t>& plaintext) {
  Sealed sealed{std::vector<uint8_t>(plaintext.size()), std::vector<uint8_t>(AesGcm::kTag)};
  EXPECT(gcm.seal(nonce.data(), aad, plaintext.data(), plaintext.size(), sealed.ciphertext.data(), sealed.tag.data()));
  return sealed;
}

/** What `sealed` was made of, or nothing. */
std::vector<uint8_t> open(AesGcm& gcm, const std::vector<uint8_t>& nonce, const std::vector<uint8_t>& aad,
                          const Sealed& sealed) {
  std::vector<uint8_t> out(sealed.ciphertext.size());
  const bool authentic = gcm.open(nonce.data(), aad, sealed.ciphertext.data(), out.size(), out.data(), sealed.tag.data());
  if (!authentic) out.clear();
  return out;
}

std::vector<uint8_t> nonce_of(uint64_t number) {
  std::vector<uint8_t> nonce(AesGcm::kNonce, 0x55);
  for (size_t i = 0; i < 8; i++) nonce[4 + i] = static_cast<uint8_t>(number >> (56 - 8 * i));
  return nonce;
}

}  // namespace

TEST("AES-GCM: the vectors of McGrew's draft and Wycheproof's with nonces of 96 bits") {
  size_t valid = 0;
  for (const Vector& vector : kVectors) {
    const auto key = check::hex(vector.key);
    const auto nonce = check::hex(vector.nonce);
    const auto aad = check::hex(vector.aad);
    const auto plaintext = check::hex(vector.plaintext);
    const Sealed expected{check::hex(vector.ciphertext), check::hex(vector.tag)};
    AesGcm opener(AesGcm::Direction::open, key);
    const auto opened = open(opener, nonce, aad, expected);
    if (!vector.valid) {
      std::vector<uint8_t> out(plaintext.size());
      EXPECT(!opener.open(nonce.data(), aad, expected.ciphertext.data(), out.size(), out.data(), expected.tag.data()));
      continue;
    }
    valid++;
    EXPECT(opened == plaintext);
    AesGcm sealer(AesGcm::Direction::seal, key);
    EXPECT(seal(sealer, nonce, aad, plaintext) == expected);
  }
  EXPECT(valid > 100 && valid < std::size(kVectors));
}

TEST("AES-GCM: seals alike under nonces that count on, jump, return, and cross the end of 64 bits") {
  const auto key = check::octets(32);
  const auto aad = check::octets(8);
  AesGcm lasting(AesGcm::Direction::seal, key);
  std::vector<uint64_t> numbers{1, 2, 3, 77, 78, 5, UINT64_MAX - 1, UINT64_MAX, 0, 1, 0xffffffff, 0x100000000};
  for (int i = 0; i < 500; i++) numbers.push_back(check::below(4) == 0 ? check::below(UINT64_MAX) : numbers.back() + 1);
  for (const uint64_t number : numbers) {
    const auto plaintext = check::octets(check::below(200));
    AesGcm fresh(AesGcm::Direction::seal, key);
    EXPECT(seal(lasting, nonce_of(number), aad, plaintext) == seal(fresh, nonce_of(number), aad, plaintext));
  }
}

TEST("AES-GCM: a forgery changes nothing for what comes after it") {
  const auto key = check::octets(16);
  const auto aad = check::octets(12);
  AesGcm sealer(AesGcm::Direction::seal, key);
  AesGcm opener(AesGcm::Direction::open, key);
  for (uint64_t number = 1; number < 200; number++) {
    const auto plaintext = check::octets(1 + check::below(100));
    Sealed sealed = seal(sealer, nonce_of(number), aad, plaintext);
    Sealed forged = sealed;
    (check::below(2) == 0 ? forged.tag : forged.ciphertext)[0] ^= 0x40;
    EXPECT(open(opener, nonce_of(number), aad, forged).empty());
    EXPECT(open(opener, nonce_of(number + 1), aad, sealed).empty());
    EXPECT(open(opener, nonce_of(number), aad, sealed) == plaintext);
  }
}
