#include "vaes_admission.hpp"

#include <algorithm>
#include <vector>

#include "checksum.hpp"
#include "openssl_gcm.hpp"
#include "vaes_gcm.hpp"

namespace tunwright {

namespace {

using Octets = std::vector<uint8_t>;

/** Octets without a pattern that a cipher could have (xorshift64, Marsaglia 2003). */
class Stream {
 public:
  Octets take(size_t count) {
    Octets octets(count);
    for (uint8_t& octet : octets) {
      state_ ^= state_ << 13;
      state_ ^= state_ >> 7;
      state_ ^= state_ << 17;
      octet = static_cast<uint8_t>(state_ >> 32);
    }
    return octets;
  }

 private:
  uint64_t state_ = 0x9e3779b97f4a7c15;
};

struct Message {
  Octets nonce, aad, plaintext;
};

/** Both seal alike, each opens what came of it with the right sum, and neither a forgery. */
bool agree(AesGcm& vaes, AesGcm& openssl, AesGcm& openssl_opener, const Message& message) {
  const auto& [nonce, aad, plaintext] = message;
  const size_t length = plaintext.size();
  Octets ours(length), theirs(length), opened(length);
  Octets tag(AesGcm::kTag), their_tag(AesGcm::kTag);
  if (!vaes.seal(nonce.data(), aad, plaintext.data(), length, ours.data(), tag.data())) return false;
  if (!openssl.seal(nonce.data(), aad, plaintext.data(), length, theirs.data(), their_tag.data())) return false;
  if (ours != theirs || tag != their_tag) return false;
  if (!vaes.open(nonce.data(), aad, ours.data(), length, opened.data(), tag.data()) || opened != plaintext) return false;
  const uint64_t sum = length == 0 ? 0 : checksum_add(plaintext.data(), length);
  if (checksum_fold(vaes.opened_sum()) != checksum_fold(sum)) return false;
  if (!openssl_opener.open(nonce.data(), aad, ours.data(), length, opened.data(), tag.data())) return false;
  tag[length % AesGcm::kTag] ^= static_cast<uint8_t>(1 << length % 8);
  return !vaes.open(nonce.data(), aad, ours.data(), length, opened.data(), tag.data());
}

VaesStatus examine() {
  if (!vaes_supported()) return VaesStatus::unsupported;
  constexpr size_t kLongest = 4000;  // more than two reductions
  Stream stream;
  for (const size_t key_length : {16, 24, 32}) {
    const Octets key = stream.take(key_length);
    const auto vaes = create_vaes_gcm(key);
    OpensslGcm sealer(AesGcm::Direction::seal, key);
    OpensslGcm opener(AesGcm::Direction::open, key);
    for (size_t length = 0; length < kLongest; length += length < 600 ? 1 : 37) {
      const Message message{stream.take(AesGcm::kNonce), stream.take(length % 3 == 0 ? 12 : length % 41), stream.take(length)};
      if (!agree(*vaes, sealer, opener, message)) return VaesStatus::wrong;
    }
  }
  return VaesStatus::admitted;
}

}  // namespace

VaesStatus vaes_status() {
  static const VaesStatus status = examine();
  return status;
}

}  // namespace tunwright
