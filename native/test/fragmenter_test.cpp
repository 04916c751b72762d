#include "../core/fragmenter.hpp"

#include <map>

#include "packets.hpp"

using namespace tunwright;
using packets::Bytes;

namespace {

/** A packet without DF around `payload`; options are padded to a multiple of four. */
Bytes datagram(Bytes options, const Bytes& payload) {
  while (options.size() % 4 != 0) options.push_back(0);
  Bytes packet = packets::make({.version = 4, .protocol = packets::kUdp}, {});
  packet.resize(20);
  packet.insert(packet.end(), options.begin(), options.end());
  packet.insert(packet.end(), payload.begin(), payload.end());
  packet[0] = static_cast<uint8_t>(0x40 | (20 + options.size()) / 4);
  packet[6] = 0;
  store16(&packet[2], static_cast<uint16_t>(packet.size()));
  store16(&packet[10], 0);
  store16(&packet[10], static_cast<uint16_t>(~packets::naive_sum(packet.data(), 20 + options.size())));
  return packet;
}

std::vector<Bytes> fragments(Bytes packet, size_t mtu) {
  std::vector<Bytes> out;
  Fragmenter fragmenter;
  if (!fragmenter.start(packet.data(), packet.size(), mtu)) return out;
  for (Segmenter::Packet piece; fragmenter.next(piece);) out.emplace_back(piece.data, piece.data + piece.length);
  return out;
}

size_t header_of(const Bytes& packet) { return (packet[0] & 15u) * 4; }

/** What a host makes of the fragments: the payload, in place. */
struct Reassembled {
  Bytes payload;
  bool complete = false;
};
Reassembled reassemble(const std::vector<Bytes>& pieces) {
  std::map<size_t, Bytes> parts;
  size_t total = 0;
  for (const Bytes& piece : pieces) {
    const size_t at = (load16(&piece[6]) & 0x1fffu) * 8;
    parts[at] = Bytes(piece.begin() + static_cast<ptrdiff_t>(header_of(piece)), piece.end());
    if ((piece[6] & 0x20) == 0) total = at + parts[at].size();
  }
  Reassembled result;
  for (const auto& [at, part] : parts) {
    if (at != result.payload.size()) return result;
    result.payload.insert(result.payload.end(), part.begin(), part.end());
  }
  result.complete = result.payload.size() == total;
  return result;
}

}  // namespace

TEST("fragmenter: fragments fit, carry right headers, and are put together to the packet they were") {
  for (int round = 0; round < 600; round++) {
    const Bytes payload = check::octets(1 + check::below(4000));
    const Bytes options = check::below(3) == 0 ? Bytes(check::below(41), 1) : Bytes{};
    const Bytes packet = datagram(options, payload);
    const size_t mtu = header_of(packet) + 8 + check::below(1500);
    const auto pieces = fragments(packet, mtu);
    for (const Bytes& piece : pieces) {
      EXPECT(piece.size() <= mtu && load16(&piece[2]) == piece.size());
      EXPECT(packets::naive_sum(piece.data(), header_of(piece)) == 0xffff);
      EXPECT(load16(&piece[4]) == load16(&packet[4]) && std::memcmp(&piece[12], &packet[12], 8) == 0 && piece[8] == packet[8]);
    }
    const Reassembled whole = reassemble(pieces);
    EXPECT(whole.complete && whole.payload == payload);
  }
}

TEST("fragmenter: cuts a fragment further, and only the very last one says that nothing follows") {
  const Bytes payload = check::octets(4000);
  for (const size_t mtu : {1500u, 1000u, 68u}) {
    std::vector<Bytes> twice;
    for (const Bytes& piece : fragments(datagram({}, payload), 1500)) {
      EXPECT(may_fragment(piece.data()));
      for (const Bytes& smaller : fragments(piece, mtu)) twice.push_back(smaller);
    }
    const Reassembled whole = reassemble(twice);
    EXPECT(whole.complete && whole.payload == payload);
    size_t last = 0;
    for (const Bytes& piece : twice) last += (piece[6] & 0x20) == 0 ? 1 : 0;
    EXPECT(last == 1);
  }
}

TEST("fragmenter: repeats the options marked to be copied and no others") {
  const Bytes record_route = {7, 7, 4, 0, 0, 0, 0};
  const Bytes router_alert = {0x94, 4, 0, 0};
  Bytes options = record_route;
  options.push_back(1);
  options.insert(options.end(), router_alert.begin(), router_alert.end());
  const auto pieces = fragments(datagram(options, check::octets(900)), 300);
  EXPECT(pieces.size() == 4 && header_of(pieces[0]) == 32);
  for (size_t i = 1; i < pieces.size(); i++) {
    EXPECT(header_of(pieces[i]) == 24);
    EXPECT(std::equal(router_alert.begin(), router_alert.end(), pieces[i].begin() + 20));
  }
}

TEST("fragmenter: respects DF, leaves IPv6 alone, and survives noise") {
  EXPECT(!may_fragment(packets::make({.version = 4}, {}).data()));
  EXPECT(!may_fragment(packets::make({.version = 6}, {}).data()));
  Bytes short_header = datagram({}, check::octets(100));
  short_header[0] = 0x44;
  EXPECT(fragments(short_header, 60).empty());
  EXPECT(fragments(datagram({}, check::octets(100)), 27).empty());
  for (int round = 0; round < 20000; round++) {
    Bytes noise = check::octets(21 + check::below(200));
    noise[0] = static_cast<uint8_t>(0x40 | check::below(16));
    const size_t length = noise.size();
    size_t total = 0;
    Fragmenter fragmenter;
    if (!fragmenter.start(noise.data(), length, check::below(120))) continue;
    for (Segmenter::Packet piece; fragmenter.next(piece);) {
      EXPECT(piece.data >= noise.data() && piece.data + piece.length <= noise.data() + length);
      EXPECT(++total <= 30);
    }
  }
}

TEST("fragmenter: refuses a fragment that ends beyond the largest datagram, whose offset has no room in the header") {
  Bytes last = datagram({}, check::octets(1000));
  const auto at = [&](size_t offset) {
    store16(&last[6], static_cast<uint16_t>(offset / 8));
    return fragments(last, 500);
  };
  EXPECT(at(64'512).size() == 3);
  EXPECT(at(64'520).empty());
  EXPECT(at(0x1fff * 8).empty());
}
