#pragma once
// The few lines of test framework that the native tests need: they run without Node and without packages.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace check {

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}
inline int& failures() {
  static int count = 0;
  return count;
}

struct Register {
  Register(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

inline void expect(bool holds, const char* text, const char* file, int line) {
  if (holds) return;
  std::printf("  %s:%d: not true: %s\n", file, line, text);
  // One broken property in a loop would otherwise print for minutes.
  if (++failures() >= 20) std::exit(1);
}

/** Random octets; the seed is fixed so that a failure comes again. */
inline std::mt19937_64& random_source() {
  static std::mt19937_64 source(20260101);
  return source;
}
inline uint64_t below(uint64_t limit) { return random_source()() % limit; }
inline std::vector<uint8_t> octets(size_t length) {
  std::vector<uint8_t> out(length);
  for (uint8_t& octet : out) octet = static_cast<uint8_t>(random_source()());
  return out;
}
inline std::vector<uint8_t> hex(const std::string& text) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) out.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return out;
}

}  // namespace check

#define CHECK_JOIN_(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN_(a, b)
#define TEST(name)                                                                             \
  static void CHECK_JOIN(test_, __LINE__)();                                                   \
  static const check::Register CHECK_JOIN(register_, __LINE__)(name, CHECK_JOIN(test_, __LINE__)); \
  static void CHECK_JOIN(test_, __LINE__)()
#define EXPECT(condition) check::expect((condition), #condition, __FILE__, __LINE__)
