#include "../core/ecdh.hpp"

#include "check.hpp"

using namespace tunwright;

namespace {

/** RFC 5903 §8.2. */
constexpr const char* kPrivate =
    "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194";
constexpr const char* kPeerPoint =
    "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571"
    "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c";
constexpr const char* kShared =
    "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746";

std::vector<uint8_t> agree(const std::vector<uint8_t>& private_value, const std::vector<uint8_t>& point) {
  std::vector<uint8_t> shared(ecp_field_octets(EcpGroup::ecp384));
  return ecdh(EcpGroup::ecp384, private_value, point, shared) ? shared : std::vector<uint8_t>{};
}

}  // namespace

TEST("ECDH gives the secret of RFC 5903 §8.2") {
  EXPECT(agree(check::hex(kPrivate), check::hex(kPeerPoint)) == check::hex(kShared));
}

TEST("ECDH refuses points off the curve, infinity, and other lengths") {
  const auto key = check::hex(kPrivate);
  auto point = check::hex(kPeerPoint);
  for (size_t at = 0; at < point.size(); at += 7) {
    point[at] ^= 1;
    EXPECT(agree(key, point).empty());
    point[at] ^= 1;
  }
  EXPECT(agree(key, std::vector<uint8_t>(point.size(), 0)).empty());
  EXPECT(agree(key, std::vector<uint8_t>(point.size(), 0xff)).empty());
  EXPECT(agree(key, {point.begin(), point.end() - 1}).empty());
  EXPECT(agree({key.begin(), key.end() - 1}, point).empty());
  EXPECT(agree(std::vector<uint8_t>(key.size(), 0), point).empty());  // 0 × P is infinity
  EXPECT(!agree(key, point).empty());
}
