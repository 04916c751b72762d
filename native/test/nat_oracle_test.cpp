#include "../core/nat_oracle.hpp"

#include <openssl/evp.h>

#include "../core/bytes.hpp"
#include "check.hpp"

using namespace tunwright;
using Endpoint = NatOracle::Endpoint;

namespace {

/** A responder that saw us at `seen`. */
NatOracle told_of(Endpoint seen) {
  std::vector<uint8_t> message = check::octets(NatOracle::kSpis + 6);
  store32(&message[NatOracle::kSpis], seen.address);
  store16(&message[NatOracle::kSpis + 4], seen.port);
  uint8_t hash[NatOracle::kHash];
  EVP_Digest(message.data(), message.size(), hash, nullptr, EVP_sha1(), nullptr);
  return NatOracle(std::span<const uint8_t, NatOracle::kSpis>(message.data(), NatOracle::kSpis), hash);
}

constexpr uint32_t kLast = UINT32_MAX;
const std::atomic<bool> kGoOn{false};

}  // namespace

TEST("nat oracle: hashes as OpenSSL does") {
  for (int i = 0; i < 1000; i++) {
    const Endpoint seen = {static_cast<uint32_t>(check::random_source()()), static_cast<uint16_t>(check::below(65536))};
    const NatOracle oracle = told_of(seen);
    EXPECT(oracle.covers(seen));
    EXPECT(!oracle.covers({seen.address ^ 1, seen.port}));
    EXPECT(!oracle.covers({seen.address, static_cast<uint16_t>(seen.port ^ 1)}));
  }
}

TEST("nat oracle: finds every kind of port of a known address, and no port 0") {
  for (const uint32_t port : {1u, 2u, 3u, 4u, 500u, 4500u, 65533u, 65534u, 65535u}) {
    const Endpoint seen = {0xcb007107, static_cast<uint16_t>(port)};
    EXPECT(told_of(seen).with_any_port(seen.address) == seen);
    EXPECT(!told_of(seen).with_any_port(seen.address + 1));
  }
  EXPECT(!told_of({0xcb007107, 0}).with_any_port(0xcb007107));
}

TEST("nat oracle: finds an address at either end of a range of any length, and none outside") {
  for (const uint64_t count : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 257u}) {
    for (const uint32_t first : {0u, 0xc0a80100u, static_cast<uint32_t>(kLast - (count - 1))}) {
      const uint32_t last = first + static_cast<uint32_t>(count - 1);
      EXPECT((told_of({first, 500}).among(first, count, 500) == Endpoint{first, 500}));
      EXPECT((told_of({last, 500}).among(first, count, 500) == Endpoint{last, 500}));
      EXPECT(!told_of({first - 1, 500}).among(first, count, 500));
      EXPECT(!told_of({last + 1, 500}).among(first, count, 500));
      EXPECT(!told_of({last, 4500}).among(first, count, 500));
    }
  }
}

TEST("nat oracle: takes the steps of a search in order, and none after it was cancelled") {
  const Endpoint seen = {0xcb007107, 61234};
  const NatOracle oracle = told_of(seen);
  const NatSearchStep steps[] = {{0xcb007107, 1, 500}, {0xcb000000, 1 << 17, 500}, {0xcb007100, 16, 0}};
  EXPECT(search_nat(oracle, steps, kGoOn) == seen);
  EXPECT(!search_nat(oracle, std::span(steps).first(2), kGoOn));
  EXPECT(!search_nat(oracle, steps, std::atomic<bool>{true}));
  const Endpoint far = {0xcb010001, 500};
  EXPECT(search_nat(told_of(far), std::span(steps).first(2), kGoOn) == far);
}
