#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

/** What a fuzz target needs of its input: numbers, then pieces. Beyond the end everything is 0 or empty. */
class Slices {
 public:
  Slices(const uint8_t* data, size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }

  uint8_t octet() {
    if (rest_.empty()) return 0;
    const uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }

  /** A piece with two octets of length in front of it. */
  std::span<const uint8_t> piece() {
    const size_t wanted = static_cast<size_t>(octet()) << 8 | octet();
    return take(wanted);
  }

  std::span<const uint8_t> take(size_t wanted) {
    const auto piece = rest_.first(wanted < rest_.size() ? wanted : rest_.size());
    rest_ = rest_.subspan(piece.size());
    return piece;
  }

 private:
  std::span<const uint8_t> rest_;
};

/** A block of exactly `size` octets, so that the sanitizer sees the first one too many. */
inline std::unique_ptr<uint8_t[]> exactly(size_t size) { return std::unique_ptr<uint8_t[]>(new uint8_t[size]); }

/** A broken promise ends the program, as a sanitizer does; libFuzzer then writes the input to a file. */
inline void promise(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}
