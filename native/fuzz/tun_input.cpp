// What a TUN with offloads hands over: any virtio header in front of any packet.
#include "../core/segmenter.hpp"
#include "slices.hpp"

using namespace tunwright;

/** Reading a packet must not be optimised away: the sanitizer watches reads, too. */
static volatile uint8_t touched;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  VirtioHeader header;
  if (size <= sizeof header) return 0;
  std::memcpy(&header, data, sizeof header);
  const size_t length = size - sizeof header;
  const auto packet = exactly(length);
  std::memcpy(packet.get(), data + sizeof header, length);
  Segmenter segmenter;
  if (!segmenter.start(header, packet.get(), length)) return 0;
  size_t pieces = 0;
  uint8_t seen = 0;
  for (Segmenter::Packet piece; segmenter.next(piece);) {
    promise(piece.length > 0 && piece.length <= segmenter.largest(), "no packet is larger than the largest");
    promise(piece.data >= packet.get() && piece.data + piece.length <= packet.get() + length, "packets stay in the buffer");
    for (size_t i = 0; i < piece.length; i++) seen ^= piece.data[i];
    pieces++;
    promise(pieces <= segmenter.count() && pieces <= length, "cutting comes to an end: each packet takes an octet or more");
  }
  touched = seen;
  return 0;
}
