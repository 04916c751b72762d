#include "../core/segmenter.hpp"

#include <algorithm>

#include "../core/checksum.hpp"
#include "packets.hpp"

using namespace tunwright;
using packets::Bytes;

namespace {

constexpr size_t kTrailer = 5;

/** The super-packet that the kernel would hand over for `shape`: whole lengths, pseudo-header sum as checksum. */
Bytes super_packet(const packets::Shape& shape, const Bytes& payload) {
  Bytes packet = packets::make(shape, payload);
  const size_t l4 = packets::l4_offset(packet);
  store16(&packet[l4 + (shape.protocol == packets::kTcp ? 16 : 6)], packets::pseudo_sum(packet, packet.size() - l4));
  return packet;
}

VirtioHeader header_for(const packets::Shape& shape, const Bytes& packet, uint16_t gso_size) {
  VirtioHeader header;
  const bool tcp = shape.protocol == packets::kTcp;
  header.flags = VirtioHeader::kNeedsChecksum;
  header.gso_type = !tcp ? VirtioHeader::kGsoUdp : shape.version == 4 ? VirtioHeader::kGsoTcp4 : VirtioHeader::kGsoTcp6;
  header.gso_size = gso_size;
  header.checksum_start = static_cast<uint16_t>(packets::l4_offset(packet));
  header.checksum_offset = tcp ? 16 : 6;
  return header;
}

/** What a sender without offloads would have put on the wire. */
std::vector<Bytes> naive_segments(const packets::Shape& shape, const Bytes& payload, size_t gso_size) {
  std::vector<Bytes> out;
  for (size_t at = 0; at < payload.size(); at += gso_size) {
    const size_t end = std::min(at + gso_size, payload.size());
    packets::Shape piece = shape;
    piece.sequence += static_cast<uint32_t>(at);
    if (end != payload.size()) piece.flags &= static_cast<uint8_t>(~0x09);
    if (at != 0) piece.flags &= 0x7f;
    Bytes packet = packets::make(piece, Bytes(payload.begin() + static_cast<ptrdiff_t>(at), payload.begin() + static_cast<ptrdiff_t>(end)));
    if (shape.version == 4) {
      store16(&packet[4], static_cast<uint16_t>(0x1234 + out.size()));
      packets::fix_checksums(packet);
    }
    out.push_back(packet);
  }
  return out;
}

}  // namespace

TEST("segmenter: cuts TCP and UDP super-packets as a sender without offloads would") {
  for (int round = 0; round < 600; round++) {
    packets::Shape shape;
    shape.version = check::below(2) == 0 ? 4 : 6;
    shape.protocol = check::below(3) == 0 ? packets::kUdp : packets::kTcp;
    shape.options = shape.protocol == packets::kTcp ? check::below(11) * 4 : 0;
    shape.flags = static_cast<uint8_t>(0x10 | (check::below(2) * 0x08) | (check::below(2) * 0x01) | (check::below(2) * 0x80));
    shape.sequence = check::below(4) == 0 ? 0xfffffc00 : 5000;
    const uint16_t gso_size = static_cast<uint16_t>(1 + check::below(1400));
    const Bytes payload = check::octets(1 + check::below(std::min<size_t>(60000, gso_size * 70u)));
    Bytes packet = super_packet(shape, payload);
    const VirtioHeader header = header_for(shape, packet, gso_size);
    const auto expected = naive_segments(shape, payload, gso_size);

    const size_t length = packet.size();
    packet.resize(length + kTrailer);
    Segmenter segmenter;
    EXPECT(segmenter.start(header, packet.data(), length));
    const size_t largest = segmenter.largest();
    EXPECT(segmenter.count() == expected.size());
    const bool later = check::below(2) == 0;
    if (later) segmenter.leave_checksums();
    size_t count = 0;
    for (Segmenter::Packet piece; segmenter.next(piece); count++) {
      EXPECT(count < expected.size());
      if (count >= expected.size()) break;
      EXPECT(piece.length <= largest);
      EXPECT((piece.late != nullptr) == later);
      if (later) {
        const uint16_t value = piece.late->value(checksum_add(piece.data, piece.length));
        std::memcpy(piece.data + piece.late->field, &value, sizeof value);
      }
      EXPECT(Bytes(piece.data, piece.data + piece.length) == expected[count]);
      EXPECT(packets::checksums_hold(expected[count]));
    }
    EXPECT(count == expected.size());
  }
}

TEST("segmenter: completes a partial checksum of a single packet") {
  for (int round = 0; round < 300; round++) {
    packets::Shape shape;
    shape.version = check::below(2) == 0 ? 4 : 6;
    shape.protocol = check::below(2) == 0 ? packets::kUdp : packets::kTcp;
    const Bytes payload = check::octets(check::below(1400));
    const Bytes expected = packets::make(shape, payload);
    Bytes packet = super_packet(shape, payload);
    VirtioHeader header = header_for(shape, packet, 0);
    header.gso_type = VirtioHeader::kGsoNone;
    Segmenter segmenter;
    Segmenter::Packet piece;
    EXPECT(segmenter.start(header, packet.data(), packet.size()));
    EXPECT(segmenter.next(piece) && piece.length == expected.size());
    EXPECT(packet == expected);
    EXPECT(!segmenter.next(piece));
  }
}

TEST("segmenter: refuses contradictory headers and survives random ones") {
  const packets::Shape shape;
  const Bytes packet = super_packet(shape, check::octets(3000));
  const VirtioHeader good = header_for(shape, packet, 1000);
  const auto accepts = [&](VirtioHeader header) {
    Bytes copy = packet;
    return Segmenter().start(header, copy.data(), copy.size());
  };
  EXPECT(accepts(good));
  VirtioHeader bad = good;
  bad.gso_size = 0;
  EXPECT(!accepts(bad));
  bad = good;
  bad.checksum_start = 60000;
  EXPECT(!accepts(bad));
  bad = good;
  bad.gso_type = 3;  // UFO: not asked for
  EXPECT(!accepts(bad));
  bad = good;
  bad.flags = 0;
  EXPECT(!accepts(bad));

  for (int round = 0; round < 20000; round++) {
    Bytes noise = check::octets(1 + check::below(300));
    noise[0] = static_cast<uint8_t>((check::below(2) == 0 ? 0x40 : 0x60) | check::below(16));
    const size_t length = noise.size();
    noise.resize(length + kTrailer);
    VirtioHeader header;
    header.flags = static_cast<uint8_t>(check::below(2));
    header.gso_type = static_cast<uint8_t>(check::below(6) | (check::below(2) * 0x80));
    header.gso_size = static_cast<uint16_t>(check::below(200));
    header.checksum_start = static_cast<uint16_t>(check::below(length + 20));
    header.checksum_offset = static_cast<uint16_t>(check::below(20));
    Segmenter segmenter;
    if (!segmenter.start(header, noise.data(), length)) continue;
    size_t total = 0;
    for (Segmenter::Packet piece; segmenter.next(piece);) {
      EXPECT(piece.data >= noise.data() && piece.data + piece.length <= noise.data() + length);
      EXPECT(++total <= 300);
    }
  }
}
