#pragma once
#include "aes_gcm.hpp"

namespace tunwright {

/** The processor and the operating system have what the cipher needs: VAES, VPCLMULQDQ and AVX-512 (F, BW, DQ, VL). */
bool vaes_supported();

/** AES-GCM in 512-bit registers, in constant time. `key`: 16, 24 or 32 octets. Only where vaes_supported(). */
std::unique_ptr<AesGcm> create_vaes_gcm(std::span<const uint8_t> key);

}  // namespace tunwright
