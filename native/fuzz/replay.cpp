// Runs a fuzz target over files, without libFuzzer: `npm test` replays the corpora like this.
#include <cstdio>
#include <vector>

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int count, char** paths) {
  for (int i = 1; i < count; i++) {
    std::FILE* file = std::fopen(paths[i], "rb");
    if (file == nullptr) return 1;
    std::vector<uint8_t> input(1 << 17);
    input.resize(std::fread(input.data(), 1, input.size(), file));
    std::fclose(file);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%d passed, 0 failed\n", count - 1);
  return 0;
}
