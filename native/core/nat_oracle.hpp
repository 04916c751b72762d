#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tunwright {

/**
 * Finds the IPv4 endpoint behind the hash of a NAT_DETECTION notify, RFC 7296 §2.23: SHA-1(SPIi | SPIr | IP | port) is one
 * block, so that trying candidates is cheap. Several are hashed at once, each in its lane of a vector. Allocates nothing.
 */
class NatOracle {
 public:
  static constexpr size_t kSpis = 16;
  static constexpr size_t kHash = 20;

  /** In host order. */
  struct Endpoint {
    uint32_t address;
    uint16_t port;
    bool operator==(const Endpoint&) const = default;
  };

  /** `spis`: SPIi and SPIr as they were when the peer hashed them. */
  NatOracle(std::span<const uint8_t, kSpis> spis, std::span<const uint8_t, kHash> hash);

  bool covers(Endpoint candidate) const;

  /** Tries all ports from 1 on of `address`. */
  std::optional<Endpoint> with_any_port(uint32_t address) const;

  /** Tries `count` addresses from `first` on at one port. None of them is beyond 255.255.255.255. */
  std::optional<Endpoint> among(uint32_t first, uint64_t count, uint16_t port) const;

 private:
  std::optional<Endpoint> confirm(Endpoint first, uint32_t address_step, uint32_t port_step) const;

  std::array<uint32_t, 4> spis_;
  std::array<uint32_t, 5> hash_;
};

/** One step of a search: `count` addresses from `first` on, each at one port or, with port 0, at all of them. */
struct NatSearchStep {
  uint32_t first;
  uint64_t count;
  uint16_t port;
};

/** Takes the steps in order until one finds the endpoint. Looks at `cancelled` every few milliseconds. */
std::optional<NatOracle::Endpoint> search_nat(const NatOracle& oracle, std::span<const NatSearchStep> steps,
                                              const std::atomic<bool>& cancelled);

}  // namespace tunwright
