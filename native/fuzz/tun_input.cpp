// What a TUN with offloads hands over: any virtio header in front of any packet.
#include "../core/checksum.hpp"
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
  const auto copy = exactly(length);
  std::memcpy(copy.get(), packet.get(), length);
  Segmenter segmenter;
  if (!segmenter.start(header, packet.get(), length)) return 0;
  Segmenter late;
  promise(late.start(header, copy.get(), length), "a copy starts like the original");
  late.leave_checksums();
  size_t pieces = 0;
  uint8_t seen = 0;
  for (Segmenter::Packet piece; segmenter.next(piece);) {
    promise(piece.length > 0 && piece.length <= segmenter.largest(), "no packet is larger than the largest");
    promise(piece.data >= packet.get() && piece.data + piece.length <= packet.get() + length, "packets stay in the buffer");
    Segmenter::Packet later;
    promise(late.next(later) && later.length == piece.length, "a copy is cut like the original");
    if (later.late != nullptr) {
      const uint16_t value = later.late->value(checksum_add(later.data, later.length));
      std::memcpy(later.data + later.late->field, &value, sizeof value);
    }
    promise(std::memcmp(later.data, piece.data, piece.length) == 0, "a checksum is the same when it is made later");
    for (size_t i = 0; i < piece.length; i++) seen ^= piece.data[i];
    pieces++;
    promise(pieces <= segmenter.count() && pieces <= length, "cutting comes to an end: each packet takes an octet or more");
  }
  touched = seen;
  return 0;
}
