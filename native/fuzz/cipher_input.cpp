// Two implementations of one cipher: what one seals, the other seals alike and opens, and none opens what was changed.
#include "../core/aes_gcm.hpp"
#include "../core/checksum.hpp"
#include "../core/vaes_admission.hpp"
#include "slices.hpp"

using namespace tunwright;

namespace {

struct Message {
  std::span<const uint8_t> key;
  const uint8_t* nonce;
  std::span<const uint8_t> aad;
  std::span<const uint8_t> plaintext;
};

/** Ciphertext and tag; `checksum` is put in on the way, if there is one. */
std::unique_ptr<uint8_t[]> seal(Cipher cipher, const Message& message, const LateChecksum* checksum) {
  const size_t length = message.plaintext.size();
  const auto inside = exactly(length);
  if (length > 0) std::memcpy(inside.get(), message.plaintext.data(), length);
  if (checksum != nullptr) std::memset(inside.get() + checksum->field, 0, 2);
  auto sealed = exactly(length + AesGcm::kTag);
  uint8_t* tag = sealed.get() + length;
  const auto gcm = AesGcm::create(cipher, AesGcm::Direction::seal, message.key);
  const bool done =
      checksum == nullptr
          ? gcm->seal(message.nonce, message.aad, inside.get(), length, sealed.get(), tag)
          : gcm->seal_summing(message.nonce, message.aad, inside.get(), length, sealed.get(), tag, *checksum);
  promise(done, "everything can be sealed");
  return sealed;
}

bool open(Cipher cipher, const Message& message, const uint8_t* sealed, bool summing) {
  const size_t length = message.plaintext.size();
  const auto out = exactly(length);
  const auto gcm = AesGcm::create(cipher, AesGcm::Direction::open, message.key);
  const bool authentic = gcm->open(message.nonce, message.aad, sealed, length, out.get(), sealed + length);
  if (!authentic || summing) return authentic;
  promise(length == 0 || std::memcmp(out.get(), message.plaintext.data(), length) == 0, "what was sealed comes out");
  const bool right = checksum_fold(gcm->opened_sum()) == checksum_fold(checksum_add(out.get(), length));
  promise(!gcm->sums() || right, "the sum is that of what comes out");
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (vaes_status() != VaesStatus::admitted) return 0;
  Slices input(data, size);
  const uint8_t options = input.octet();
  const uint8_t position = input.octet();
  uint8_t key[32] = {};
  uint8_t nonce[AesGcm::kNonce] = {};
  const auto some_key = input.take(sizeof key);
  const auto some_nonce = input.take(sizeof nonce);
  if (!some_key.empty()) std::memcpy(key, some_key.data(), some_key.size());
  if (!some_nonce.empty()) std::memcpy(nonce, some_nonce.data(), some_nonce.size());
  const auto aad = input.take(options >> 2 & 31);
  const Message message{{key, size_t{16} + 8 * (options % 3)}, nonce, aad, input.take(size)};
  const size_t length = message.plaintext.size();

  const size_t field = 2 * size_t{position};
  const LateChecksum late{field, position * 1000u, (position & 1) != 0};
  const bool summing = (options & 0x80) != 0 && field + 2 <= length;
  const auto ours = seal(Cipher::vaes, message, summing ? &late : nullptr);
  const auto theirs = seal(Cipher::openssl, message, summing ? &late : nullptr);
  promise(std::memcmp(ours.get(), theirs.get(), length + AesGcm::kTag) == 0, "both seal alike");
  promise(open(Cipher::vaes, message, ours.get(), summing), "VAES opens it");
  promise(open(Cipher::openssl, message, ours.get(), summing), "OpenSSL opens it");
  ours[position * size_t{7} % (length + AesGcm::kTag)] ^= static_cast<uint8_t>(1 << (position & 7));
  promise(!open(Cipher::vaes, message, ours.get(), true), "VAES refuses what was changed");
  return 0;
}
