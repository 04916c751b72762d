#include "../core/coalescer.hpp"

#include <deque>
#include <map>

#include "../core/checksum.hpp"
#include "../core/segmenter.hpp"
#include "packets.hpp"

using namespace tunwright;
using packets::Bytes;

namespace {

/** What a flow is to its two ends: packets of different flows may change places, those of one may not. */
using FlowKey = std::vector<uint8_t>;

FlowKey flow_of(const Bytes& packet) {
  const size_t l4 = packets::l4_offset(packet);
  FlowKey key(packet.begin() + (packet[0] >> 4 == 4 ? 12 : 8), packet.begin() + static_cast<ptrdiff_t>(l4 + 4));
  key.push_back(packets::protocol(packet));
  return key;
}

/** Cuts every frame again and keeps the packets per flow, in order. */
class CuttingSink : public FrameSink {
 public:
  void write_frame(const uint8_t* frame, size_t length, size_t count) override {
    VirtioHeader header;
    std::memcpy(&header, frame, sizeof header);
    Bytes packet(frame + sizeof header, frame + length);
    const size_t packet_length = packet.size();
    packet.resize(packet_length + 5);
    Segmenter segmenter;
    EXPECT(segmenter.start(header, packet.data(), packet_length));
    size_t cut = 0;
    for (Segmenter::Packet piece; segmenter.next(piece); cut++) {
      const Bytes bytes(piece.data, piece.data + piece.length);
      flows[flow_of(bytes)].push_back(bytes);
    }
    EXPECT(cut == count);
    packets += count;
    frames++;
  }

  std::map<FlowKey, std::deque<Bytes>> flows;
  size_t packets = 0;
  size_t frames = 0;
};

struct Bench {
  explicit Bench(bool join_udp = true) : coalescer(buffers(), join_udp, sink) {}

  void receive(const Bytes& packet) {
    // As after decryption: padding and trailer are behind the packet.
    uint8_t* at = coalescer.landing(packet.size() + 5);
    std::memcpy(at, packet.data(), packet.size());
    std::memset(at + packet.size(), 0xee, 5);
    std::optional<uint64_t> sum;
    if (check::below(2) == 0) sum = checksum_add(packet.data(), packet.size());
    coalescer.accept(packet.size(), sum);
  }
  std::array<uint8_t*, Coalescer::kFlows> buffers() {
    std::array<uint8_t*, Coalescer::kFlows> out;
    for (size_t i = 0; i < out.size(); i++) {
      memory[i].resize(Coalescer::kBuffer);
      out[i] = memory[i].data();
    }
    return out;
  }

  std::array<Bytes, Coalescer::kFlows> memory;
  CuttingSink sink;
  Coalescer coalescer;
};

/** One sender's stream: mostly in order and full, with everything that happens to real ones. */
struct Stream {
  packets::Shape shape;
  uint16_t identification = 0;
  size_t segment = 0;
  bool fragmentable = false;

  Bytes next() {
    packets::Shape now = shape;
    if (check::below(25) == 0) now.flags |= 0x08;
    if (check::below(60) == 0) now.flags = static_cast<uint8_t>(check::below(256));
    if (check::below(60) == 0) now.sequence -= 3;
    const size_t size = check::below(20) == 0 ? check::below(segment) : check::below(60) == 0 ? segment + 9 : segment;
    Bytes packet = packets::make(now, check::octets(size));
    shape.sequence += static_cast<uint32_t>(size);
    const size_t l4 = packets::l4_offset(packet);
    if (shape.version == 4) {
      store16(&packet[4], identification++);
      if (fragmentable) packet[6] = 0;
      if (check::below(40) == 0) identification += 2;  // another stream of the host was in between
      if (check::below(80) == 0) packet[1] = 3;   // congestion experienced
      if (check::below(80) == 0) packet[6] ^= 0x40;  // DF comes or goes
      if (check::below(80) == 0) packet[8]--;     // another path
    }
    if (shape.protocol == packets::kTcp && check::below(30) == 0) packet[l4 + 11]++;  // acknowledges more
    if (shape.protocol == packets::kTcp && check::below(60) == 0) packet[l4 + 15]++;  // another window
    packets::fix_checksums(packet);
    if (check::below(60) == 0) packet.back() ^= 1;  // arrived broken: the receiver must see that
    if (shape.protocol == packets::kUdp && check::below(60) == 0) store16(&packet[l4 + 6], 0);
    return packet;
  }
};

}  // namespace

TEST("coalescer: cutting what it joined gives back every packet of every flow, in order") {
  for (int round = 0; round < 150; round++) {
    Bench bench(check::below(4) != 0);
    std::vector<Stream> streams(1 + check::below(12));
    for (size_t i = 0; i < streams.size(); i++) {
      Stream& stream = streams[i];
      stream.shape.version = check::below(3) == 0 ? 6 : 4;
      stream.shape.protocol = check::below(3) == 0 ? packets::kUdp : packets::kTcp;
      stream.shape.options = stream.shape.protocol == packets::kTcp ? check::below(11) * 4 : 0;
      stream.shape.source_port = static_cast<uint16_t>(1000 + i);
      stream.identification = static_cast<uint16_t>(check::below(65536));
      stream.segment = 1 + check::below(1400);
      stream.fragmentable = check::below(2) == 0;
    }
    std::map<FlowKey, std::deque<Bytes>> sent;
    size_t turn = 0;
    for (int i = 0; i < 600; i++) {
      if (check::below(10) == 0) turn = check::below(streams.size());
      const Bytes packet = streams[turn].next();
      sent[flow_of(packet)].push_back(packet);
      bench.receive(packet);
      if (check::below(40) == 0) {
        uint8_t* at = bench.coalescer.landing(1400);  // a packet whose ICV was wrong
        std::memset(at, 0xdd, 1400);
        bench.coalescer.discard();
      }
      if (check::below(100) == 0) bench.coalescer.flush();
    }
    bench.coalescer.flush();
    EXPECT(bench.sink.packets == 600);
    EXPECT(bench.sink.flows.size() == sent.size());
    for (const auto& [key, expected] : sent) {
      const auto& got = bench.sink.flows[key];
      EXPECT(got.size() == expected.size());
      for (size_t i = 0; i < std::min(got.size(), expected.size()); i++) {
        Bytes was = expected[i];
        Bytes is = got[i];
        // With DF the identification means nothing and need not survive (RFC 6864 §4.1).
        if (was[0] >> 4 == 4 && (was[6] & 0x40) != 0) {
          for (Bytes* packet : {&was, &is}) (*packet)[4] = (*packet)[5] = (*packet)[10] = (*packet)[11] = 0;
        }
        EXPECT(was == is);
      }
    }
  }
}

TEST("coalescer: joins a bulk transfer to super-packets of up to 64 segments and 65,000 octets") {
  Bench bench;
  packets::Shape shape;
  for (int i = 0; i < 460; i++) {
    bench.receive(packets::make(shape, check::octets(1348)));
    shape.sequence += 1348;
  }
  bench.coalescer.flush();
  EXPECT(bench.sink.packets == 460);
  EXPECT(bench.sink.frames == 10);  // 48 × 1,348 octets fit
}

TEST("coalescer: lets a fragment, an IP option or an unknown protocol overtake nothing") {
  for (const int kind : {0, 1, 2}) {
    Bench bench;
    packets::Shape shape;
    bench.receive(packets::make(shape, check::octets(500)));
    shape.sequence += 500;
    bench.receive(packets::make(shape, check::octets(500)));
    EXPECT(bench.sink.frames == 0);
    Bytes other = packets::make(shape, check::octets(500));
    if (kind == 0) other[7] = 1;
    if (kind == 1) other[0] = 0x46;
    if (kind == 2) other[9] = 47;
    uint8_t* at = bench.coalescer.landing(other.size());
    std::memcpy(at, other.data(), other.size());
    bench.coalescer.accept(other.size());
    EXPECT(bench.sink.frames == 2);
  }
}
