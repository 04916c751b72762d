#pragma once
#include <cstdint>

namespace tunwright {

enum class VaesStatus : uint8_t { admitted, unsupported, wrong };

/**
 * Whether Cipher::vaes may be used here: the first call compares it with OpenSSL, in some milliseconds. Not `admitted`, it
 * must not be.
 */
VaesStatus vaes_status();

}  // namespace tunwright
