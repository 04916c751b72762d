#include "esp.hpp"

#include <openssl/crypto.h>

#include "bytes.hpp"
#include "checksum.hpp"

namespace tunwright {

namespace {

/** RFC 4303 §2: SPI and sequence number; with ESN the high half comes in between, RFC 4106 §5. */
size_t write_aad(uint8_t* aad, const uint8_t* spi, uint64_t sequence, bool esn) {
  std::memcpy(aad, spi, 4);
  if (!esn) {
    store32(aad + 4, static_cast<uint32_t>(sequence));
    return 8;
  }
  store64(aad + 4, sequence);
  return 12;
}

/** Padding must count 1, 2, 3, …: RFC 4303 §2.4. */
bool valid_padding(const uint8_t* padding, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (padding[i] != i + 1) return false;
  }
  return true;
}

/** The complement of what `length` octets from `offset` on contribute to a sum of words. */
uint64_t without(const uint8_t* octets, size_t length, size_t offset) {
  uint64_t sum = 0;
  for (size_t i = 0; i < length; i++) sum += static_cast<uint64_t>(octets[i]) << ((offset + i) % 2 * 8);
  return static_cast<uint16_t>(~checksum_fold(sum));
}

}  // namespace

EspSealer::EspSealer(const SaKeys& keys, SequenceSpace& numbers)
    : gcm_(AesGcm::create(keys.cipher, AesGcm::Direction::seal, keys.key)), spi_(keys.spi), esn_(keys.esn), numbers_(numbers) {
  std::memcpy(salt_, keys.salt.data(), sizeof salt_);
}

EspSealer::~EspSealer() { OPENSSL_cleanse(salt_, sizeof salt_); }

void EspSealer::reserve(uint64_t count) {
  next_ = numbers_.take(count);
  end_ = next_ == 0 ? 0 : next_ + count;
}

size_t EspSealer::seal(uint8_t* inner, size_t length, uint8_t next_header, uint8_t* out,
                       const LateChecksum* checksum) {
  if (next_ == end_) reserve(1);
  if (next_ == end_) return 0;
  const uint64_t sequence = next_++;
  store32(out, spi_);
  store32(out + 4, static_cast<uint32_t>(sequence));
  store64(out + 8, sequence);

  uint8_t nonce[AesGcm::kNonce];
  std::memcpy(nonce, salt_, 4);
  std::memcpy(nonce + 4, out + 8, 8);
  uint8_t aad[12];
  const size_t aad_length = write_aad(aad, out, sequence, esn_);

  uint8_t* trailer = inner + length;
  uint8_t saved[kEspTrailerMax];
  std::memcpy(saved, trailer, sizeof saved);
  const uint8_t padding = static_cast<uint8_t>(-(length + 2) & 3);
  for (uint8_t i = 0; i < padding; i++) trailer[i] = static_cast<uint8_t>(i + 1);
  trailer[padding] = padding;
  trailer[padding + 1] = next_header;

  const size_t sealed = length + padding + 2;
  uint8_t* ciphertext = out + kEspHeader;
  uint8_t* tag = ciphertext + sealed;
  bool done;
  if (checksum == nullptr) {
    done = gcm_->seal(nonce, {aad, aad_length}, inner, sealed, ciphertext, tag);
  } else {
    LateChecksum late = *checksum;
    late.rest += without(trailer, padding + 2u, length);
    done = gcm_->seal_summing(nonce, {aad, aad_length}, inner, sealed, ciphertext, tag, late);
  }
  std::memcpy(trailer, saved, sizeof saved);
  return done ? kEspHeader + sealed + AesGcm::kTag : 0;
}

EspOpener::EspOpener(const SaKeys& keys, uint32_t replay_window)
    : gcm_(AesGcm::create(keys.cipher, AesGcm::Direction::open, keys.key)), esn_(keys.esn), window_(replay_window) {
  std::memcpy(salt_, keys.salt.data(), sizeof salt_);
}

EspOpener::~EspOpener() { OPENSSL_cleanse(salt_, sizeof salt_); }

EspOpener::Opened EspOpener::open(const uint8_t* packet, size_t length, uint8_t* out) {
  if (length < kEspMin || length % 4 != 0) return {EspVerdict::malformed, 0, 0, 0, {}};
  const uint32_t low = load32(packet + 4);
  const uint64_t sequence = esn_ ? window_.infer_esn(low) : low;
  if (window_.check(sequence) != ReplayWindow::Verdict::fresh) return {EspVerdict::replayed, 0, 0, sequence, {}};

  uint8_t nonce[AesGcm::kNonce];
  std::memcpy(nonce, salt_, 4);
  std::memcpy(nonce + 4, packet + 8, 8);
  uint8_t aad[12];
  const size_t aad_length = write_aad(aad, packet, sequence, esn_);
  const size_t sealed = length - kEspHeader - AesGcm::kTag;
  const uint8_t* ciphertext = packet + kEspHeader;
  if (!gcm_->open(nonce, {aad, aad_length}, ciphertext, sealed, out, ciphertext + sealed))
    return {EspVerdict::not_authentic, 0, 0, sequence, {}};
  window_.mark(sequence);

  const uint8_t next_header = out[sealed - 1];
  const size_t padding = out[sealed - 2];
  if (padding + 2 > sealed || !valid_padding(out + sealed - 2 - padding, padding))
    return {EspVerdict::malformed, next_header, 0, sequence, {}};
  const EspVerdict verdict = next_header == kNextHeaderNone ? EspVerdict::dummy : EspVerdict::ok;
  const size_t payload = sealed - 2 - padding;
  Opened opened{verdict, next_header, payload, sequence, {}};
  if (gcm_->sums()) opened.sum = carry_add(gcm_->opened_sum(), without(out + payload, padding + 2, payload));
  return opened;
}

}  // namespace tunwright
