#pragma once

#include <cstdint>
#include <span>

namespace tunwright {

enum class EcpGroup : uint16_t {
  ecp256 = 19,
  ecp384 = 20,
};

/** Octets of a coordinate, of a private value, and of the shared secret. */
constexpr size_t ecp_field_octets(EcpGroup group) { return group == EcpGroup::ecp256 ? 32 : 48; }

/**
 * The x coordinate of privateValue × point (RFC 5903 §7), with one multiplication in constant time.
 *
 * EVP_PKEY_derive_set_peer adds another, of the peer's point by the group's order. Both groups have cofactor 1, so that every
 * point on the curve but infinity, which x|y cannot express, has that order: to be on the curve is all that must be checked
 * (RFC 6989 §2.3; NIST SP 800-56A rev. 3 §5.6.2.3.4).
 *
 * @param point x|y
 * @param shared of the field's size
 * @return false when the point is not on the curve, or a length is wrong
 */
bool ecdh(EcpGroup group, std::span<const uint8_t> private_value, std::span<const uint8_t> point, std::span<uint8_t> shared);

}  // namespace tunwright
