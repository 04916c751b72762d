#include "aes_gcm.hpp"

#include <cstring>
#include <stdexcept>

#include "checksum.hpp"
#include "openssl_gcm.hpp"
#include "vaes_admission.hpp"
#include "vaes_gcm.hpp"

namespace tunwright {

uint16_t LateChecksum::value(uint64_t sum) const {
  const auto value = static_cast<uint16_t>(~checksum_fold(carry_add(sum, rest)));
  return udp && value == 0 ? 0xffff : value;
}

std::unique_ptr<AesGcm> AesGcm::create(Cipher cipher, Direction direction, std::span<const uint8_t> key) {
  if (cipher == Cipher::openssl) return std::make_unique<OpensslGcm>(direction, key);
  if (vaes_status() != VaesStatus::admitted) throw std::runtime_error("the VAES cipher was not admitted on this machine");
  return create_vaes_gcm(key);
}

bool AesGcm::seal_summing(const uint8_t* nonce, std::span<const uint8_t> aad, uint8_t* in, size_t length, uint8_t* out,
                          uint8_t* tag, const LateChecksum& checksum) {
  const uint16_t value = checksum.value(checksum_add(in, length));
  std::memcpy(in + checksum.field, &value, sizeof value);
  return seal(nonce, aad, in, length, out, tag);
}

}  // namespace tunwright
