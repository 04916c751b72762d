#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace tunwright {

/** Who does the work. `vaes` only where vaes_status() is `admitted`. */
enum class Cipher : uint8_t { openssl, vaes };

/** A TCP or UDP checksum that is put into a packet only while it is sealed. */
struct LateChecksum {
  size_t field;   // offset of its 16 bits, which are zero; even
  uint64_t rest;  // unfolded: what is to be summed besides all octets that are sealed
  bool udp;       // a checksum of 0 is written as 0xffff

  /** The checksum in machine order, where `sum` is that of all octets that are sealed. */
  uint16_t value(uint64_t sum) const;
};

/**
 * AES-GCM with a 12-octet nonce and a 16-octet tag under one key in one direction. The key is expanded once, and zeroised with
 * the object. Belongs to one thread.
 */
class AesGcm {
 public:
  enum class Direction : uint8_t { seal, open };
  static constexpr size_t kNonce = 12;
  static constexpr size_t kTag = 16;

  /** `key`: 16, 24 or 32 octets. Throws std::runtime_error when there is no such cipher here, or no memory. */
  static std::unique_ptr<AesGcm> create(Cipher cipher, Direction direction, std::span<const uint8_t> key);
  AesGcm() = default;
  virtual ~AesGcm() = default;
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  /** Encrypts `length` octets from `in` to `out` (the same address or disjoint) and writes the tag. */
  virtual bool seal(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
                    uint8_t* tag) = 0;
  /** The same after `checksum` was written into `in`. */
  virtual bool seal_summing(const uint8_t* nonce, std::span<const uint8_t> aad, uint8_t* in, size_t length, uint8_t* out,
                            uint8_t* tag, const LateChecksum& checksum);

  /** False when the tag does not verify; `out` then holds garbage that must not be used. */
  virtual bool open(const uint8_t* nonce, std::span<const uint8_t> aad, const uint8_t* in, size_t length, uint8_t* out,
                    const uint8_t* tag) = 0;

  /** It sums octets while they pass through the cipher, which spares checksums a pass of their own. */
  virtual bool sums() const { return false; }
  /** Where it does: the sum, not folded, of what open() has just decrypted. */
  virtual uint64_t opened_sum() const { return 0; }
};

}  // namespace tunwright
