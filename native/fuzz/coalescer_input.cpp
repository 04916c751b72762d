// What comes out of ESP on its way to the TUN: any packets in any order, of which super-packets are made.
#include "../core/checksum.hpp"
#include "../core/coalescer.hpp"
#include "../core/ip_packet.hpp"
#include "../core/segmenter.hpp"
#include "slices.hpp"

using namespace tunwright;

namespace {

/** Cuts every frame again: as many packets and octets must come out as went in. */
class CountingSink : public FrameSink {
 public:
  void write_frame(const uint8_t* frame, size_t length, size_t count) override {
    promise(length > sizeof(VirtioHeader) && count > 0, "a frame has a packet");
    VirtioHeader header;
    std::memcpy(&header, frame, sizeof header);
    const size_t packet_length = length - sizeof header;
    const auto packet = exactly(packet_length);
    std::memcpy(packet.get(), frame + sizeof header, packet_length);
    packets += count;
    if (count == 1) {
      octets += packet_length;
      return;
    }
    Segmenter segmenter;
    promise(segmenter.start(header, packet.get(), packet_length), "a super-packet can be cut");
    size_t cut = 0;
    for (Segmenter::Packet piece; segmenter.next(piece); cut++) octets += piece.length;
    promise(cut == count, "a super-packet is cut into what it was made of");
  }

  size_t packets = 0;
  size_t octets = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<uint8_t[]> memory = exactly(Coalescer::kFlows * Coalescer::kBuffer);
  std::array<uint8_t*, Coalescer::kFlows> buffers;
  for (size_t i = 0; i < buffers.size(); i++) buffers[i] = memory.get() + i * Coalescer::kBuffer;
  Slices input(data, size);
  CountingSink sink;
  Coalescer coalescer(buffers, (input.octet() & 1) != 0, sink);
  size_t packets = 0;
  size_t octets = 0;
  while (!input.empty()) {
    const uint8_t what = input.octet();
    const auto piece = input.piece();
    uint8_t* at = coalescer.landing(piece.size() + 5);
    if (!piece.empty()) std::memcpy(at, piece.data(), piece.size());
    const size_t length = piece.empty() ? 0 : ip_length(at, piece.size(), (what & 1) != 0 ? 4 : 41);
    if (length == 0) {
      coalescer.discard();
    } else {
      std::optional<uint64_t> sum;
      if ((what & 4) != 0) sum = checksum_add(at, length);
      coalescer.accept(length, sum);
      packets++;
      octets += length;
    }
    if ((what & 2) != 0) coalescer.flush();
  }
  coalescer.flush();
  promise(sink.packets == packets, "every packet is written, and once");
  promise(sink.octets == octets, "no octet is lost or made up");
  return 0;
}
