#include "../core/aes_gcm.hpp"
#include "../core/checksum.hpp"

#include <algorithm>

#include "check.hpp"
#include "ciphers.hpp"

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

/** Of a vector, whether it is valid. */
bool holds(const Vector& vector, Cipher cipher) {
  const auto key = check::hex(vector.key);
  const auto nonce = check::hex(vector.nonce);
  const auto aad = check::hex(vector.aad);
  const auto plaintext = check::hex(vector.plaintext);
  const Sealed expected{check::hex(vector.ciphertext), check::hex(vector.tag)};
  const auto opener = AesGcm::create(cipher, AesGcm::Direction::open, key);
  const auto opened = open(*opener, nonce, aad, expected);
  if (!vector.valid) {
    std::vector<uint8_t> out(plaintext.size());
    EXPECT(!opener->open(nonce.data(), aad, expected.ciphertext.data(), out.size(), out.data(), expected.tag.data()));
    return false;
  }
  EXPECT(opened == plaintext);
  const auto sealer = AesGcm::create(cipher, AesGcm::Direction::seal, key);
  EXPECT(seal(*sealer, nonce, aad, plaintext) == expected);
  return true;
}

/** A packet that is sealed in one go with its checksum, and opened with its sum. */
void seal_summing(Cipher cipher, size_t length, size_t field, bool udp) {
  const auto key = check::octets(16 + 8 * check::below(3));
  const auto aad = check::octets(check::below(2) == 0 ? 8 : 12);
  const auto nonce = nonce_of(check::below(UINT64_MAX));
  auto packet = check::octets(length);
  packet[field] = packet[field + 1] = 0;
  const LateChecksum late{field, check::below(1'000'000), udp};
  auto expected = packet;
  const uint64_t whole = checksum_add(packet.data(), length, late.rest);
  udp ? checksum_store_udp(expected.data() + field, whole) : checksum_store(expected.data() + field, whole);

  const auto sealer = AesGcm::create(cipher, AesGcm::Direction::seal, key);
  Sealed sealed{std::vector<uint8_t>(length), std::vector<uint8_t>(AesGcm::kTag)};
  EXPECT(sealer->seal_summing(nonce.data(), aad, packet.data(), length, sealed.ciphertext.data(), sealed.tag.data(), late));
  EXPECT(packet == expected);
  EXPECT(sealed == seal(*AesGcm::create(Cipher::openssl, AesGcm::Direction::seal, key), nonce, aad, expected));
  const auto opener = AesGcm::create(cipher, AesGcm::Direction::open, key);
  EXPECT(open(*opener, nonce, aad, sealed) == expected);
  EXPECT(!opener->sums() || checksum_fold(opener->opened_sum()) == checksum_fold(checksum_add(expected.data(), length)));
}

}  // namespace

TEST("AES-GCM: the vectors of McGrew's draft and Wycheproof's with nonces of 96 bits") {
  for (const Cipher cipher : admitted_ciphers()) {
    size_t valid = 0;
    for (const Vector& vector : kVectors) valid += holds(vector, cipher) ? 1 : 0;
    EXPECT(valid > 100 && valid < std::size(kVectors));
  }
}

TEST("AES-GCM: seals alike under nonces that count on, jump, return, and cross the end of 64 bits") {
  const auto key = check::octets(32);
  const auto aad = check::octets(8);
  std::vector<uint64_t> numbers{1, 2, 3, 77, 78, 5, UINT64_MAX - 1, UINT64_MAX, 0, 1, 0xffffffff, 0x100000000};
  for (int i = 0; i < 500; i++) numbers.push_back(check::below(4) == 0 ? check::below(UINT64_MAX) : numbers.back() + 1);
  for (const Cipher cipher : admitted_ciphers()) {
    const auto lasting = AesGcm::create(cipher, AesGcm::Direction::seal, key);
    for (const uint64_t number : numbers) {
      const auto plaintext = check::octets(check::below(200));
      const auto fresh = AesGcm::create(Cipher::openssl, AesGcm::Direction::seal, key);
      EXPECT(seal(*lasting, nonce_of(number), aad, plaintext) == seal(*fresh, nonce_of(number), aad, plaintext));
    }
  }
}

TEST("AES-GCM: all lengths up to a jumbo frame, in place and not") {
  for (const Cipher cipher : admitted_ciphers()) {
    for (size_t length = 0; length < 9216; length += length < 2100 ? 1 : 61) {
      const auto key = check::octets(16 + 8 * check::below(3));
      const auto aad = check::octets(check::below(40));
      const auto nonce = nonce_of(check::below(UINT64_MAX));
      const auto plaintext = check::octets(length);
      const Sealed expected = seal(*AesGcm::create(Cipher::openssl, AesGcm::Direction::seal, key), nonce, aad, plaintext);
      Sealed inside{plaintext, std::vector<uint8_t>(AesGcm::kTag)};
      uint8_t* data = inside.ciphertext.data();
      EXPECT(AesGcm::create(cipher, AesGcm::Direction::seal, key)->seal(nonce.data(), aad, data, length, data, inside.tag.data()));
      EXPECT(inside == expected);
      const auto opener = AesGcm::create(cipher, AesGcm::Direction::open, key);
      EXPECT(length == 0 || open(*opener, nonce, aad, expected) == plaintext);
      EXPECT(opener->open(nonce.data(), aad, data, length, data, inside.tag.data()) && inside.ciphertext == plaintext);
    }
  }
}

TEST("AES-GCM: a checksum that is made while sealing is the one made before") {
  for (const Cipher cipher : admitted_ciphers()) {
    for (int round = 0; round < 4000; round++) {
      const size_t length = 40 + check::below(check::below(4) == 0 ? 4000 : 1500);
      seal_summing(cipher, length, 2 * check::below(std::min<size_t>(length, 100) / 2), check::below(2) == 0);
    }
  }
}

TEST("AES-GCM: a forgery changes nothing for what comes after it") {
  const auto key = check::octets(16);
  const auto aad = check::octets(12);
  for (const Cipher cipher : admitted_ciphers()) {
    const auto sealer = AesGcm::create(cipher, AesGcm::Direction::seal, key);
    const auto opener = AesGcm::create(cipher, AesGcm::Direction::open, key);
    for (uint64_t number = 1; number < 200; number++) {
      const auto plaintext = check::octets(1 + check::below(100));
      Sealed sealed = seal(*sealer, nonce_of(number), aad, plaintext);
      Sealed forged = sealed;
      (check::below(2) == 0 ? forged.tag : forged.ciphertext)[0] ^= 0x40;
      EXPECT(open(*opener, nonce_of(number), aad, forged).empty());
      EXPECT(open(*opener, nonce_of(number + 1), aad, sealed).empty());
      EXPECT(open(*opener, nonce_of(number), aad, sealed) == plaintext);
    }
  }
}
