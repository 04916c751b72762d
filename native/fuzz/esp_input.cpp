// What arrives as ESP: any octets, and packets under the right key with anything inside.
#include "../core/bytes.hpp"
#include "../core/esp.hpp"
#include "slices.hpp"

using namespace tunwright;

namespace {

const uint8_t kKey[16] = {1, 2, 3};
const uint8_t kSalt[4] = {4, 5, 6, 7};

/** As a peer could send it that keeps none of the rules for what is inside. */
size_t seal(AesGcm& gcm, std::span<const uint8_t> inside, uint64_t sequence, bool esn, uint8_t* out) {
  store32(out, 0x12345678);
  store32(out + 4, static_cast<uint32_t>(sequence));
  store64(out + 8, sequence);
  uint8_t nonce[AesGcm::kNonce];
  std::memcpy(nonce, kSalt, 4);
  std::memcpy(nonce + 4, out + 8, 8);
  uint8_t aad[12];
  std::memcpy(aad, out, 4);
  if (esn) store64(aad + 4, sequence);
  else store32(aad + 4, static_cast<uint32_t>(sequence));
  uint8_t* tag = out + kEspHeader + inside.size();
  promise(gcm.seal(nonce, {aad, esn ? size_t{12} : size_t{8}}, inside.data(), inside.size(), out + kEspHeader, tag),
          "OpenSSL seals");
  return kEspHeader + inside.size() + AesGcm::kTag;
}

void open(EspOpener& opener, const uint8_t* packet, size_t length) {
  const size_t room = length > kEspHeader + AesGcm::kTag ? length - kEspHeader - AesGcm::kTag : 0;
  const auto out = exactly(room);
  const EspOpener::Opened first = opener.open(packet, length, out.get());
  if (first.verdict != EspVerdict::ok) return;
  promise(first.length + 2 <= room, "payload and trailer fit what was encrypted");
  promise(opener.open(packet, length, out.get()).verdict == EspVerdict::replayed, "a packet is taken once");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Slices input(data, size);
  const uint8_t options = input.octet();
  const bool esn = (options & 1) != 0;
  const auto gcm = AesGcm::create(Cipher::openssl, AesGcm::Direction::seal, kKey);
  EspOpener opener({0x12345678, kKey, kSalt, esn}, 64u << (options >> 1 & 3));
  uint64_t sequence = 0;
  while (!input.empty()) {
    const uint8_t what = input.octet();
    sequence += what >> 2;
    const auto piece = input.piece();
    const auto packet = exactly(kEspHeader + piece.size() + AesGcm::kTag);
    size_t length = piece.size();
    if ((what & 1) != 0) length = seal(*gcm, piece, sequence, esn, packet.get());
    else if (length > 0) std::memcpy(packet.get(), piece.data(), length);
    if ((what & 2) != 0 && length > 0) packet[sequence % length] ^= 1;
    const auto exact = exactly(length);
    if (length > 0) std::memcpy(exact.get(), packet.get(), length);
    open(opener, exact.get(), length);
  }
  return 0;
}
