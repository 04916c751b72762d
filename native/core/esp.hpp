#pragma once
// ESP in tunnel mode with AES-GCM and a 16-octet ICV: RFC 4303, RFC 4106.
//
//    0                                      8                16
//   | SPI (4) | sequence, low half (4)      | IV = 64-bit sequence (8) | inner packet, padding, pad length, next header | ICV (16)
//   |<- authenticated; with ESN also high half ->|                     |<------------- encrypted ------------->|
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "aes_gcm.hpp"
#include "counters.hpp"
#include "replay_window.hpp"
#include "sequence_space.hpp"

namespace tunwright {

inline constexpr size_t kEspHeader = 16;       // SPI, sequence, IV
inline constexpr size_t kEspTrailerMax = 5;    // up to 3 octets of padding, pad length, next header
inline constexpr size_t kEspOverheadMax = kEspHeader + kEspTrailerMax + AesGcm::kTag;
inline constexpr size_t kEspMin = kEspHeader + 2 + AesGcm::kTag;

inline constexpr uint8_t kNextHeaderIpv4 = 4;
inline constexpr uint8_t kNextHeaderIpv6 = 41;
inline constexpr uint8_t kNextHeaderNone = 59;  // dummy packet, RFC 4303 §2.6

/** What key management hands over; the spans are read during construction only. */
struct SaKeys {
  uint32_t spi;
  std::span<const uint8_t> key;   // 16, 24 or 32 octets
  std::span<const uint8_t> salt;  // 4 octets
  bool esn;
  Cipher cipher = Cipher::openssl;
};

/** Octets of the ESP packet that carries `inner` octets. */
inline size_t esp_size(size_t inner) { return kEspHeader + ((inner + 2 + 3) & ~size_t{3}) + AesGcm::kTag; }

/** What one thread needs to send through an SA; the threads of an SA share its sequence numbers. Owned by one thread. */
class EspSealer {
 public:
  /** `numbers` outlives the sealer. */
  EspSealer(const SaKeys& keys, SequenceSpace& numbers);
  ~EspSealer();
  EspSealer(const EspSealer&) = delete;
  EspSealer& operator=(const EspSealer&) = delete;

  /**
   * Takes consecutive numbers for the next `count` packets, so that packets that belong together stay together in the
   * receiver's window. Numbers reserved before and not used are given up. Without, each packet takes its own.
   */
  void reserve(uint64_t count);

  /** No sequence number is left. */
  bool exhausted() const { return next_ == end_ && numbers_.exhausted(); }

  /**
   * Seals `length` octets at `inner` into `out`, which has esp_size(length) octets and does not overlap. The
   * kEspTrailerMax octets behind `inner` must be writable: they hold the trailer for the moment and are put back.
   * `checksum`: is still to be put into the packet. Returns the octets written; 0 when exhausted or when OpenSSL failed.
   */
  size_t seal(uint8_t* inner, size_t length, uint8_t next_header, uint8_t* out, const LateChecksum* checksum = nullptr);

  /** A checksum made while sealing costs next to nothing. */
  bool sums() const { return gcm_->sums(); }

 private:
  const std::unique_ptr<AesGcm> gcm_;
  uint32_t spi_;
  bool esn_;
  uint8_t salt_[4];
  SequenceSpace& numbers_;
  uint64_t next_ = 0;  // reserved: from here
  uint64_t end_ = 0;   // to before here
};

enum class EspVerdict : uint8_t { ok, dummy, malformed, replayed, not_authentic };

/** The receiving half of an SA. Owned by one thread. */
class EspOpener {
 public:
  EspOpener(const SaKeys& keys, uint32_t replay_window);
  ~EspOpener();
  EspOpener(const EspOpener&) = delete;
  EspOpener& operator=(const EspOpener&) = delete;

  struct Opened {
    EspVerdict verdict;
    uint8_t next_header;
    size_t length;  // octets of payload at `out`, padding removed
    uint64_t sequence;
    std::optional<uint64_t> sum{};  // unfolded, of the payload, where the cipher makes it in passing
  };

  /**
   * Checks and decrypts one ESP packet. `out` takes length - kEspHeader - kTag octets; it may be packet + kEspHeader,
   * otherwise it must not overlap. Whatever the verdict, `out` is scratch unless it is `ok`.
   */
  Opened open(const uint8_t* packet, size_t length, uint8_t* out);

  ReplayWindow& window() { return window_; }
  const ReplayWindow& window() const { return window_; }

 private:
  const std::unique_ptr<AesGcm> gcm_;
  bool esn_;
  uint8_t salt_[4];
  ReplayWindow window_;
};

}  // namespace tunwright
