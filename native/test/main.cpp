#include "check.hpp"
#include "openssl_memory.hpp"

int main() {
  if (!openssl_memory::install()) return 1;
  size_t failed = 0;
  for (const check::Test& test : check::tests()) {
    const int before = check::failures();
    test.run();
    const bool passed = check::failures() == before;
    if (!passed) failed++;
    std::printf("%s %s\n", passed ? "ok  " : "FAIL", test.name);
  }
  std::printf("%zu passed, %zu failed\n", check::tests().size() - failed, failed);
  return failed == 0 ? 0 : 1;
}
