#include "ecdh.hpp"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include <cstring>
#include <memory>
#include <new>

namespace tunwright {

namespace {

constexpr size_t kFieldMax = 48;
/** SEC 1 §2.3.3. */
constexpr uint8_t kUncompressed = 4;

template <auto release>
struct Releaser {
  template <typename T>
  void operator()(T* held) const {
    release(held);
  }
};
using Group = std::unique_ptr<EC_GROUP, Releaser<EC_GROUP_free>>;
using Point = std::unique_ptr<EC_POINT, Releaser<EC_POINT_clear_free>>;
using Number = std::unique_ptr<BIGNUM, Releaser<BN_clear_free>>;
using Scratch = std::unique_ptr<BN_CTX, Releaser<BN_CTX_free>>;

}  // namespace

bool ecdh(EcpGroup group, std::span<const uint8_t> private_value, std::span<const uint8_t> point,
          std::span<uint8_t> shared) {
  const size_t field = ecp_field_octets(group);
  if (private_value.size() != field || point.size() != 2 * field || shared.size() != field) return false;
  const Group curve(EC_GROUP_new_by_curve_name(group == EcpGroup::ecp256 ? NID_X9_62_prime256v1 : NID_secp384r1));
  const Scratch scratch(BN_CTX_secure_new());
  const Number scalar(BN_secure_new());
  const Number x(BN_secure_new());
  if (!curve || !scratch || !scalar || !x) throw std::bad_alloc();
  const Point peer(EC_POINT_new(curve.get()));
  const Point product(EC_POINT_new(curve.get()));
  if (!peer || !product) throw std::bad_alloc();

  uint8_t encoded[1 + 2 * kFieldMax] = {kUncompressed};
  std::memcpy(encoded + 1, point.data(), point.size());
  BN_set_flags(scalar.get(), BN_FLG_CONSTTIME);
  const bool agreed = BN_bin2bn(private_value.data(), static_cast<int>(field), scalar.get()) != nullptr &&
                      EC_POINT_oct2point(curve.get(), peer.get(), encoded, 1 + point.size(), scratch.get()) == 1 &&
                      EC_POINT_mul(curve.get(), product.get(), nullptr, peer.get(), scalar.get(), scratch.get()) == 1 &&
                      EC_POINT_get_affine_coordinates(curve.get(), product.get(), x.get(), nullptr, scratch.get()) == 1 &&
                      BN_bn2binpad(x.get(), shared.data(), static_cast<int>(field)) == static_cast<int>(field);
  if (!agreed) ERR_clear_error();  // what a peer sent must not be found by Node's own calls
  return agreed;
}

}  // namespace tunwright
