#include "../core/esp.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "../core/bytes.hpp"
#include "../core/checksum.hpp"
#include "check.hpp"
#include "ciphers.hpp"
#include "openssl_memory.hpp"

using namespace tunwright;

namespace {

struct Vector {
  const char* name;
  uint32_t spi;
  uint64_t sequence;
  bool esn;
  const char* key;
  const char* salt;
  const char* inner;
  const char* wire;
};
const Vector kVectors[] = {
#include "sealed.inc"  // test/vectors/esp/sealed.json
};

struct Keys {
  std::vector<uint8_t> key = check::octets(32);
  std::vector<uint8_t> salt = check::octets(4);
  SaKeys get(bool esn = false) const { return {.spi = 0x1000, .key = key, .salt = salt, .esn = esn}; }
};

std::vector<uint8_t> seal(EspSealer& sealer, std::vector<uint8_t> inner) {
  const size_t length = inner.size();
  inner.resize(length + kEspTrailerMax, 0xaa);
  std::vector<uint8_t> out(esp_size(length));
  const size_t sealed = sealer.seal(inner.data(), length, kNextHeaderIpv4, out.data());
  for (size_t i = length; i < inner.size(); i++) EXPECT(inner[i] == 0xaa);
  out.resize(sealed);
  return out;
}

void seal_and_open(const Vector& vector, Cipher cipher) {
  const auto key = check::hex(vector.key);
  const auto salt = check::hex(vector.salt);
  const auto inner = check::hex(vector.inner);
  const auto wire = check::hex(vector.wire);
  const SaKeys keys{.spi = vector.spi, .key = key, .salt = salt, .esn = vector.esn, .cipher = cipher};
  SequenceSpace numbers(vector.esn);
  numbers.set_next(vector.sequence);
  EspSealer sealer(keys, numbers);
  auto buffer = inner;
  buffer.resize(inner.size() + kEspTrailerMax);
  std::vector<uint8_t> out(esp_size(inner.size()));
  const uint8_t next_header = inner[0] >> 4 == 4 ? kNextHeaderIpv4 : kNextHeaderIpv6;
  EXPECT(sealer.seal(buffer.data(), inner.size(), next_header, out.data()) == wire.size());
  EXPECT(out == wire);

  EspOpener opener(keys, 64);
  if (vector.esn && vector.sequence > 64) opener.window().mark(vector.sequence - 1);
  out = wire;
  const auto opened = opener.open(out.data(), out.size(), out.data() + kEspHeader);
  EXPECT(opened.verdict == EspVerdict::ok && opened.length == inner.size() && opened.sequence == vector.sequence);
  EXPECT(std::memcmp(out.data() + kEspHeader, inner.data(), inner.size()) == 0);
}

}  // namespace

TEST("ESP: seals and opens the golden packets") {
  for (const Cipher cipher : admitted_ciphers()) {
    for (const Vector& vector : kVectors) seal_and_open(vector, cipher);
  }
}

TEST("ESP: checksums made while sealing and sums made while opening know nothing of padding and trailer") {
  for (const Cipher cipher : admitted_ciphers()) {
    const Keys keys;
    SaKeys sa = keys.get();
    sa.cipher = cipher;
    SequenceSpace numbers(false);
    EspSealer sealer(sa, numbers);
    EspOpener opener(sa, 64);
    for (int round = 0; round < 3000; round++) {
      auto inner = check::octets(40 + check::below(1500));
      const size_t length = inner.size();
      inner[36] = inner[37] = 0;
      const LateChecksum late{36, check::below(100'000), false};
      const uint16_t value = late.value(checksum_add(inner.data(), length));
      inner.resize(length + kEspTrailerMax, 0xaa);
      std::vector<uint8_t> out(esp_size(length));
      EXPECT(sealer.seal(inner.data(), length, kNextHeaderIpv4, out.data(), &late) == out.size());
      inner.resize(length);
      EXPECT(std::memcmp(&inner[36], &value, sizeof value) == 0);
      const auto opened = opener.open(out.data(), out.size(), out.data() + kEspHeader);
      EXPECT(opened.verdict == EspVerdict::ok && opened.length == length);
      EXPECT(std::memcmp(out.data() + kEspHeader, inner.data(), length) == 0);
      EXPECT(opened.sum.has_value() == sealer.sums());
      EXPECT(!opened.sum || checksum_fold(*opened.sum) == checksum_fold(checksum_add(inner.data(), length)));
    }
  }
}

TEST("ESP: refuses a packet with any octet changed, and then still takes the true one") {
  const Keys keys;
  SequenceSpace numbers(false);
  EspSealer sealer(keys.get(), numbers);
  EspOpener opener(keys.get(), 64);
  const auto packet = seal(sealer, check::octets(61));
  std::vector<uint8_t> scratch(packet.size());
  for (size_t at = 0; at < packet.size(); at++) {
    auto changed = packet;
    changed[at] ^= 0x40;
    const auto opened = opener.open(changed.data(), changed.size(), scratch.data());
    EXPECT(opened.verdict == EspVerdict::not_authentic);
  }
  EXPECT(opener.open(packet.data(), packet.size(), scratch.data()).verdict == EspVerdict::ok);
  EXPECT(opener.open(packet.data(), packet.size(), scratch.data()).verdict == EspVerdict::replayed);
}

TEST("ESP: refuses every truncation without reading past the end") {
  const Keys keys;
  SequenceSpace numbers(false);
  EspSealer sealer(keys.get(), numbers);
  const auto packet = seal(sealer, check::octets(40));
  for (size_t length = 0; length < packet.size(); length++) {
    // A buffer of exactly this length, so that the sanitizer sees a read too many.
    const std::vector<uint8_t> cut(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(length));
    std::vector<uint8_t> scratch(length + 1);
    EspOpener opener(keys.get(), 64);
    EXPECT(opener.open(cut.data(), cut.size(), scratch.data()).verdict != EspVerdict::ok);
  }
}

TEST("ESP: stops before a sequence number would repeat") {
  const Keys keys;
  SequenceSpace numbers(false);
  EspSealer sealer(keys.get(), numbers);
  numbers.set_next(UINT32_MAX - 1);
  EXPECT(!seal(sealer, check::octets(20)).empty());
  EXPECT(sealer.exhausted());
  EXPECT(seal(sealer, check::octets(20)).empty());
}

TEST("ESP: a reservation is consecutive, and what is too much for the end of the space is taken one by one") {
  const Keys keys;
  SequenceSpace numbers(false);
  EspSealer first(keys.get(), numbers);
  EspSealer second(keys.get(), numbers);
  const auto number = [](const std::vector<uint8_t>& packet) { return packet.empty() ? 0 : load32(&packet[4]); };
  first.reserve(2);
  second.reserve(3);
  EXPECT(number(seal(second, check::octets(20))) == 3);
  EXPECT(number(seal(first, check::octets(20))) == 1);
  EXPECT(number(seal(first, check::octets(20))) == 2);
  EXPECT(number(seal(first, check::octets(20))) == 6);
  second.reserve(2);  // gives up 4 and 5
  EXPECT(number(seal(second, check::octets(20))) == 7 && numbers.last() == 8);

  numbers.set_next(UINT32_MAX - 2);
  first.reserve(3);
  EXPECT(number(seal(first, check::octets(20))) == UINT32_MAX - 2);
  EXPECT(number(seal(first, check::octets(20))) == UINT32_MAX - 1);
  EXPECT(first.exhausted() && seal(first, check::octets(20)).empty());
  EXPECT(!second.exhausted() && number(seal(second, check::octets(20))) == 8);
}

TEST("ESP: authenticated nonsense in padding and next header is malformed or dummy, never a packet") {
  const Keys keys;
  const auto gcm = AesGcm::create(Cipher::openssl, AesGcm::Direction::seal, keys.key);
  const auto make = [&](uint64_t sequence, const std::vector<uint8_t>& plain) {
    std::vector<uint8_t> out(kEspHeader + plain.size() + AesGcm::kTag, 0);
    out[2] = 0x10;
    out[7] = out[15] = static_cast<uint8_t>(sequence);
    uint8_t nonce[12];
    std::memcpy(nonce, keys.salt.data(), 4);
    std::memcpy(nonce + 4, &out[8], 8);
    EXPECT(gcm->seal(nonce, {out.data(), 8}, plain.data(), plain.size(), &out[16], &out[16 + plain.size()]));
    return out;
  };
  EspOpener opener(keys.get(), 64);
  const auto verdict = [&](std::vector<uint8_t> packet) {
    return opener.open(packet.data(), packet.size(), packet.data() + kEspHeader).verdict;
  };
  EXPECT(verdict(make(1, {9, 9, 255, 4})) == EspVerdict::malformed);       // pad length beyond the packet
  EXPECT(verdict(make(2, {9, 9, 1, 7, 2, 4})) == EspVerdict::malformed);   // padding that does not count
  EXPECT(verdict(make(3, {9, 9, 0, kNextHeaderNone})) == EspVerdict::dummy);
  EXPECT(verdict(make(4, {9, 9, 9, 9, 1, 2, 2, 4})) == EspVerdict::ok);
  EXPECT(verdict(make(5, {9, 9, 1, 2, 2, 4})) == EspVerdict::malformed);  // no whole number of 4-octet words
}

TEST("ESP: opens numbers on both sides of 2^32 with ESN, and a sender there goes on to the end of 64 bits") {
  const Keys keys;
  SequenceSpace numbers(true);
  EspSealer sealer(keys.get(true), numbers);
  EspOpener opener(keys.get(true), 4096);
  const uint64_t boundary = uint64_t{1} << 32;
  opener.window().mark(boundary - 6);
  numbers.set_next(boundary - 5);
  std::vector<std::vector<uint8_t>> packets;
  for (int i = 0; i < 10; i++) packets.push_back(seal(sealer, check::octets(40)));
  std::swap(packets[4], packets[7]);
  for (const auto& packet : packets) {
    std::vector<uint8_t> out(packet.size());
    EXPECT(opener.open(packet.data(), packet.size(), out.data()).verdict == EspVerdict::ok);
  }
  EXPECT(opener.window().top() == boundary + 4);
  numbers.set_next(UINT64_MAX - 1);
  EXPECT(!seal(sealer, check::octets(40)).empty() && sealer.exhausted());
}

TEST("ESP: leaves neither key nor salt in memory") {
  for (const size_t length : {16u, 24u, 32u}) {
    const auto key = check::octets(length);
    const auto salt = check::octets(4);
    const SaKeys keys{.spi = 0x1000, .key = key, .salt = salt, .esn = false};
    SequenceSpace numbers(false);
    alignas(EspOpener) uint8_t opener_memory[sizeof(EspOpener)];
    alignas(EspSealer) uint8_t sealer_memory[sizeof(EspSealer)];
    openssl_memory::secret() = key;
    auto* opener = new (opener_memory) EspOpener(keys, 64);
    auto* sealer = new (sealer_memory) EspSealer(keys, numbers);
    const auto packet = seal(*sealer, check::octets(40));
    std::vector<uint8_t> out(packet.size());
    EXPECT(opener->open(packet.data(), packet.size(), out.data()).verdict == EspVerdict::ok);
    const auto holds = [&](std::span<const uint8_t> memory, const std::vector<uint8_t>& wanted) {
      return std::search(memory.begin(), memory.end(), wanted.begin(), wanted.end()) != memory.end();
    };
    EXPECT(holds(opener_memory, salt) && holds(sealer_memory, salt));
    opener->~EspOpener();
    sealer->~EspSealer();
    EXPECT(!holds(opener_memory, salt) && !holds(sealer_memory, salt));
    EXPECT(openssl_memory::leaks() == 0);

    // That the watch would have seen it.
    auto* forgotten = static_cast<uint8_t*>(OPENSSL_malloc(64));
    std::memcpy(forgotten + 7, key.data(), key.size());
    OPENSSL_free(forgotten);
    EXPECT(openssl_memory::leaks() == 1);
    openssl_memory::leaks() = 0;
    openssl_memory::secret().clear();
  }
}
