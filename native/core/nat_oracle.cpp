#include "nat_oracle.hpp"

#include <algorithm>
#include <utility>

#include "bytes.hpp"

namespace tunwright {

namespace {

constexpr uint32_t kLanes = 4;
constexpr uint32_t kPorts = 65536;
/** Addresses between two looks at the flag that ends a search: about two milliseconds' worth. */
constexpr uint64_t kSlice = 65536;

/** The same word of several messages. GCC and Clang map it to whatever vectors the machine has. */
typedef uint32_t Lanes __attribute__((vector_size(kLanes * sizeof(uint32_t))));

constexpr std::array<uint32_t, 5> kInitial = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

template <typename Word>
Word rotate(Word word, unsigned by) {
  return (word << by) | (word >> (32 - by));
}

/** Round T of FIPS 180-4 §6.1.2. Instead of moving a to e, their places in `state` turn with T; `w` is a ring. */
template <size_t T, typename Word>
[[gnu::always_inline]] inline void round(std::array<Word, 5>& state, std::array<Word, 16>& w) {
  constexpr auto at = [](size_t place) { return (80 + place - T % 5) % 5; };
  const Word a = state[at(0)];
  Word& b = state[at(1)];
  const Word c = state[at(2)];
  const Word d = state[at(3)];
  Word& e = state[at(4)];
  if constexpr (T >= 16)
    w[T % 16] = rotate(w[(T + 13) % 16] ^ w[(T + 8) % 16] ^ w[(T + 2) % 16] ^ w[T % 16], 1);
  const Word sum = e + rotate(a, 5) + w[T % 16];
  if constexpr (T < 20)
    e = sum + (d ^ (b & (c ^ d))) + 0x5a827999u;
  else if constexpr (T < 40)
    e = sum + (b ^ c ^ d) + 0x6ed9eba1u;
  else if constexpr (T < 60)
    e = sum + ((b & c) | (d & (b | c))) + 0x8f1bbcdcu;
  else
    e = sum + (b ^ c ^ d) + 0xca62c1d6u;
  b = rotate(b, 30);
}

template <typename Word, size_t... T>
[[gnu::always_inline]] inline void rounds(std::array<Word, 5>& state, std::array<Word, 16>& w, std::index_sequence<T...>) {
  (round<T>(state, w), ...);
}

/** SHA-1 of SPIs, address and port. `port_word`: the port above the first bit of padding. */
template <typename Word>
[[gnu::always_inline]] inline std::array<Word, 5> digest(const std::array<uint32_t, 4>& spis, Word address, Word port_word) {
  const Word zero{};
  constexpr uint32_t kBits = 8 * (NatOracle::kSpis + 4 + 2);
  std::array<Word, 16> w = {zero + spis[0], zero + spis[1], zero + spis[2], zero + spis[3], address, port_word,
                            zero,           zero,           zero,           zero,           zero,    zero,
                            zero,           zero,           zero,           zero + kBits};
  std::array<Word, 5> state;
  for (size_t i = 0; i < state.size(); i++) state[i] = zero + kInitial[i];
  rounds(state, w, std::make_index_sequence<80>());
  for (size_t i = 0; i < state.size(); i++) state[i] += kInitial[i];
  return state;
}

constexpr uint32_t port_word(uint32_t port) { return port << 16 | 0x8000; }

Lanes spread(uint32_t first, uint32_t step) {
  Lanes lanes;
  for (uint32_t i = 0; i < kLanes; i++) lanes[i] = first + i * step;
  return lanes;
}

bool any(const Lanes& mask) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < kLanes; i++) found |= mask[i];
  return found != 0;
}

}  // namespace

NatOracle::NatOracle(std::span<const uint8_t, kSpis> spis, std::span<const uint8_t, kHash> hash) {
  for (size_t i = 0; i < spis_.size(); i++) spis_[i] = load32(&spis[4 * i]);
  for (size_t i = 0; i < hash_.size(); i++) hash_[i] = load32(&hash[4 * i]);
}

bool NatOracle::covers(Endpoint candidate) const {
  return digest<uint32_t>(spis_, candidate.address, port_word(candidate.port)) == hash_;
}

std::optional<NatOracle::Endpoint> NatOracle::with_any_port(uint32_t address) const {
  const Lanes addresses = spread(address, 0);
  for (uint32_t port = 0; port < kPorts; port += kLanes) {
    const auto digests = digest<Lanes>(spis_, addresses, spread(port_word(port), 1 << 16));
    if (!any(digests[0] == hash_[0])) continue;
    const auto found = confirm({address, static_cast<uint16_t>(port)}, 0, 1);
    if (found && found->port != 0) return found;
  }
  return std::nullopt;
}

std::optional<NatOracle::Endpoint> NatOracle::among(uint32_t first, uint64_t count, uint16_t port) const {
  const Lanes ports = spread(port_word(port), 0);
  for (uint64_t done = 0; done < count; done += kLanes) {
    // The last lanes may repeat earlier addresses, so that none lies beyond the range.
    const uint64_t start = count < kLanes ? done : std::min(done, count - kLanes);
    const uint32_t address = first + static_cast<uint32_t>(start);
    const auto digests = digest<Lanes>(spis_, spread(address, 1), ports);
    if (!any(digests[0] == hash_[0])) continue;
    const auto found = confirm({address, port}, 1, 0);
    if (found && found->address - first < count) return found;
  }
  return std::nullopt;
}

/** One lane of these agreed in its first word: is there one that agrees in all? */
std::optional<NatOracle::Endpoint> NatOracle::confirm(Endpoint first, uint32_t address_step, uint32_t port_step) const {
  for (uint32_t i = 0; i < kLanes; i++) {
    const Endpoint candidate = {first.address + i * address_step, static_cast<uint16_t>(first.port + i * port_step)};
    if (covers(candidate)) return candidate;
  }
  return std::nullopt;
}

std::optional<NatOracle::Endpoint> search_nat(const NatOracle& oracle, std::span<const NatSearchStep> steps,
                                              const std::atomic<bool>& cancelled) {
  for (const NatSearchStep& step : steps) {
    const uint64_t slice = step.port == 0 ? 1 : kSlice;
    for (uint64_t done = 0; done < step.count; done += slice) {
      if (cancelled.load(std::memory_order_relaxed)) return std::nullopt;
      const uint32_t first = step.first + static_cast<uint32_t>(done);
      const auto found = step.port == 0 ? oracle.with_any_port(first)
                                        : oracle.among(first, std::min(slice, step.count - done), step.port);
      if (found) return found;
    }
  }
  return std::nullopt;
}

}  // namespace tunwright
