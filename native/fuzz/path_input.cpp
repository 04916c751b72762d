// What is done to packets on their way: MSS clamp, ECN, ICMP errors and fragments, for any packet and any MTU.
#include "../core/bytes.hpp"
#include "../core/ecn.hpp"
#include "../core/fragmenter.hpp"
#include "../core/icmp.hpp"
#include "../core/ip_packet.hpp"
#include "../core/mss.hpp"
#include "slices.hpp"

using namespace tunwright;

namespace {

constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kOffset = 0x1fff;
constexpr size_t kIcmpHeader = 8;

struct Packet {
  std::unique_ptr<uint8_t[]> data;
  size_t length;

  explicit Packet(std::span<const uint8_t> octets) : data(exactly(octets.size())), length(octets.size()) {
    std::memcpy(data.get(), octets.data(), length);
  }
};

/** RFC 1071, word by word, folded to 0…0xfffe: what a checksum that stays right leaves as it is. */
uint32_t sum(const uint8_t* data, size_t length) {
  uint64_t total = 0;
  for (size_t i = 0; i < length; i += 2) total += static_cast<uint64_t>(data[i] << 8 | (i + 1 < length ? data[i + 1] : 0));
  return static_cast<uint32_t>(total % 0xffff);
}

void clamp(std::span<const uint8_t> octets, size_t mtu) {
  Packet packet(octets);
  const UpperLayer upper = upper_layer(packet.data.get(), packet.length);
  const bool tcp = upper.protocol == kTcp;
  const auto segment_sum = [&] { return tcp ? sum(packet.data.get() + upper.offset, packet.length - upper.offset) : 0; };
  const uint32_t before = segment_sum();
  clamp_mss(packet.data.get(), packet.length, mtu, L4Checksum::complete);
  promise(segment_sum() == before, "a TCP checksum stays as right as it was");
  promise(std::memcmp(packet.data.get(), octets.data(), tcp ? upper.offset : packet.length) == 0,
          "nothing but TCP is changed");
  const Packet once({packet.data.get(), packet.length});
  clamp_mss(packet.data.get(), packet.length, mtu, L4Checksum::complete);
  promise(std::memcmp(packet.data.get(), once.data.get(), packet.length) == 0, "clamping twice changes no more");
}

void mark(std::span<const uint8_t> octets, uint8_t outer) {
  Packet packet(octets);
  const bool ipv4 = ip_next_header(packet.data.get()) == 4;
  const size_t header = ipv4 ? (octets[0] & 15u) * 4 : 0;
  if (!decapsulate_ecn(packet.data.get(), outer)) return;
  promise(sum(packet.data.get(), header) == sum(octets.data(), header), "an IPv4 checksum stays as right as it was");
  const uint8_t marked = traffic_class(packet.data.get());
  promise((marked & ~kEcnMask) == (traffic_class(octets.data()) & ~kEcnMask), "the DSCP stays");
  promise(std::memcmp(packet.data.get() + (ipv4 ? 12 : 2), octets.data() + (ipv4 ? 12 : 2), packet.length - (ipv4 ? 12 : 2)) == 0,
          "nothing else is changed");
}

void answer(std::span<const uint8_t> octets, size_t mtu) {
  const Packet packet(octets);
  static IcmpError error;
  packet_too_big(packet.data.get(), packet.length, mtu, error);
  if (error.length == 0) return;
  promise(error.length > kIcmpHeader && error.length <= IcmpError::kMax, "an ICMP error has its size");
  promise(error.to.data() >= packet.data.get() && error.to.data() + error.to.size() <= packet.data.get() + packet.length,
          "its receiver is in the packet");
  const size_t quoted = error.length - kIcmpHeader;
  promise(quoted <= packet.length && std::memcmp(error.message + kIcmpHeader, packet.data.get(), quoted) == 0,
          "it quotes the packet");
  if (error.to.size() == 4) promise(sum(error.message, error.length) == 0, "its checksum is right");
}

void cut(std::span<const uint8_t> octets, size_t mtu) {
  Packet packet(octets);
  if (ip_next_header(packet.data.get()) != 4 || !may_fragment(packet.data.get())) return;
  const uint16_t field = load16(octets.data() + 6);
  const size_t payload = octets.size() - (octets[0] & 15u) * 4;
  Fragmenter fragmenter;
  if (!fragmenter.start(packet.data.get(), packet.length, mtu)) return;
  size_t expected = (field & kOffset) * 8u;
  size_t came = 0;
  bool more = true;
  for (Segmenter::Packet piece; fragmenter.next(piece);) {
    promise(piece.data >= packet.data.get() && piece.data + piece.length <= packet.data.get() + packet.length,
            "fragments stay in the buffer");
    promise(piece.length <= mtu, "a fragment fits");
    const size_t header = (piece.data[0] & 15u) * 4;
    promise(header >= kIpv4Header && header < piece.length && load16(piece.data + 2) == piece.length, "its lengths are right");
    promise(sum(piece.data, header) == 0, "its checksum is right");
    const uint16_t flags = load16(piece.data + 6);
    promise((flags & kOffset) * 8u == expected && (flags & ~(kOffset | kMoreFragments)) == 0, "it goes where it belongs");
    more = (flags & kMoreFragments) != 0;
    expected += piece.length - header;
    came += piece.length - header;
  }
  promise(came == payload, "the fragments are the packet");
  promise(more == ((field & kMoreFragments) != 0), "the last one is the last of the original");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Slices input(data, size);
  const size_t mtu = static_cast<size_t>(input.octet()) << 8 | input.octet();
  const uint8_t outer = input.octet();
  const auto rest = input.take(size);
  if (rest.empty()) return 0;
  const size_t length = ip_length(rest.data(), rest.size(), ip_next_header(rest.data()));
  if (length == 0) return 0;
  const auto packet = rest.first(length);
  clamp(packet, mtu);
  mark(packet, outer);
  answer(packet, mtu);
  cut(packet, mtu);
  return 0;
}
