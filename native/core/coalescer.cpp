#include "coalescer.hpp"

#include "bytes.hpp"
#include "checksum.hpp"
#include "ip_packet.hpp"

namespace tunwright {

namespace {

constexpr size_t kTcpHeader = 20;
constexpr size_t kUdpHeader = 8;
constexpr uint8_t kAck = 0x10;
constexpr uint8_t kPush = 0x08;
constexpr uint16_t kDontFragment = 0x4000;

/** Pseudo-header without the length, of a packet whose L4 header follows the IP header at once. */
uint64_t pseudo_sum(const uint8_t* packet, bool ipv4) {
  if (ipv4) return checksum_add(packet + 12, 8, checksum_word(packet[9]));
  return checksum_add(packet + 8, 32, checksum_word(packet[6]));
}

}  // namespace

Coalescer::Coalescer(const std::array<uint8_t*, kFlows>& buffers, bool join_udp, FrameSink& sink)
    : join_udp_(join_udp), sink_(sink) {
  for (size_t i = 0; i < kFlows; i++) flows_[i].start = buffers[i] + kHeadroom;
}

uint8_t* Coalescer::landing(size_t size) {
  guessed_ = false;
  landing_ = flows_[spare_].start;
  if (current_ == kNone) return landing_;
  const Flow& flow = flows_[current_];
  // Below one header's worth of payload the packet would cover the super-packet's own headers.
  if (flow.payload < flow.headers || kHeadroom + flow.payload + size > kBuffer) return landing_;
  guessed_ = true;
  landing_ = flow.start + flow.payload;
  std::memcpy(saved_, landing_, flow.headers);
  return landing_;
}

void Coalescer::discard() {
  if (guessed_) std::memcpy(landing_, saved_, flows_[current_].headers);
  guessed_ = false;
}

void Coalescer::accept(size_t length, std::optional<uint64_t> sum) {
  const Candidate candidate = inspect(landing_, length, sum);
  if (!guessed_) return place(landing_, length, candidate);
  const bool right = candidate.joinable && same_flow(flows_[current_], landing_, candidate) &&
                     continues(flows_[current_], landing_, candidate);
  uint8_t* spare = flows_[spare_].start;
  if (!right) std::memcpy(spare, landing_, length);
  discard();
  if (right)
    append(current_, candidate);
  else
    place(spare, length, candidate);
}

void Coalescer::flush() {
  for (size_t i = 0; i < kFlows; i++) {
    if (flows_[i].count != 0) close(i);
  }
}

/** Decides for a packet in the spare slot. */
void Coalescer::place(uint8_t* packet, size_t length, const Candidate& candidate) {
  if (!candidate.identified) {
    flush();
    return write_single(packet, length, false);
  }
  const size_t index = find(packet, candidate);
  if (index != kNone) {
    Flow& flow = flows_[index];
    if (candidate.joinable && continues(flow, packet, candidate)) {
      std::memcpy(flow.start + flow.headers + flow.payload, packet + candidate.headers, candidate.payload);
      return append(index, candidate);
    }
    close(index);
  }
  if (candidate.joinable)
    open(candidate);
  else
    write_single(packet, length, false);
}

Coalescer::Candidate Coalescer::inspect(const uint8_t* packet, size_t length, std::optional<uint64_t> sum) const {
  Candidate c;
  c.ipv4 = (packet[0] >> 4) == 4;
  c.l4 = c.ipv4 ? kIpv4Header : kIpv6Header;
  if (length < c.l4 + kUdpHeader) return c;
  // IP options, fragments and extension headers: not identified, so nothing overtakes them.
  if (c.ipv4 && ((packet[0] & 0x0f) != 5 || (load16(packet + 6) & static_cast<uint16_t>(~kDontFragment)) != 0)) return c;
  const uint8_t protocol = c.ipv4 ? packet[9] : packet[6];
  c.udp = protocol == kUdp;
  if (!c.udp && protocol != kTcp) return c;
  c.identified = true;

  const uint8_t* l4 = packet + c.l4;
  if (c.udp) {
    c.headers = c.l4 + kUdpHeader;
    if (!join_udp_ || load16(l4 + 6) == 0 || load16(l4 + 4) != length - c.l4) return c;
  } else {
    if (length < c.l4 + kTcpHeader) return c;
    c.headers = c.l4 + (l4[12] >> 4) * 4u;
    c.last = (l4[13] & kPush) != 0;
    if (c.headers < c.l4 + kTcpHeader || (l4[13] & static_cast<uint8_t>(~kPush)) != kAck) return c;
  }
  if (c.headers >= length) return c;
  c.payload = length - c.headers;
  c.joinable = verified(packet, length, c, sum);
  return c;
}

bool Coalescer::verified(const uint8_t* packet, size_t length, const Candidate& c, std::optional<uint64_t> sum) {
  const uint16_t header = checksum_fold(checksum_add(packet, c.l4));
  if (c.ipv4 && header != 0xffff) return false;
  const size_t l4_length = length - c.l4;
  const uint64_t pseudo = pseudo_sum(packet, c.ipv4) + checksum_word(static_cast<uint16_t>(l4_length));
  const uint64_t whole = sum ? carry_add(*sum, static_cast<uint16_t>(~header) + pseudo)
                             : checksum_add(packet + c.l4, l4_length, pseudo);
  return checksum_fold(whole) == 0xffff;
}

/** Same addresses, protocol and ports. */
bool Coalescer::same_flow(const Flow& flow, const uint8_t* packet, const Candidate& c) {
  if (flow.ipv4 != c.ipv4 || flow.udp != c.udp) return false;
  const size_t addresses = c.ipv4 ? 12 : 8;
  return std::memcmp(flow.start + addresses, packet + addresses, c.l4 + 4 - addresses) == 0;
}

/** Whether a packet of the flow may follow in its super-packet: every field that cutting would copy must be equal. */
bool Coalescer::continues(const Flow& flow, const uint8_t* packet, const Candidate& c) {
  if (flow.headers != c.headers || c.payload > flow.segment || flow.count == kSegmentsMax) return false;
  if (flow.headers + flow.payload + c.payload > kLengthMax) return false;
  const uint8_t* first = flow.start;
  if (c.ipv4) {
    // TOS, DF and TTL; the identification counts on, or means nothing (RFC 6864: DF is set).
    if (first[1] != packet[1] || first[6] != packet[6] || first[8] != packet[8]) return false;
    const bool atomic = (load16(packet + 6) & kDontFragment) != 0;
    if (!atomic && load16(packet + 4) != static_cast<uint16_t>(load16(first + 4) + flow.count)) return false;
  } else if (std::memcmp(first, packet, 4) != 0 || first[7] != packet[7]) {
    return false;  // traffic class and flow label, hop limit
  }
  if (c.udp) return true;
  const uint8_t* a = first + c.l4;
  const uint8_t* b = packet + c.l4;
  return load32(b + 4) == static_cast<uint32_t>(load32(a + 4) + flow.payload)  // sequence
         && std::memcmp(a + 8, b + 8, 4) == 0                                   // acknowledgement
         && std::memcmp(a + 14, b + 14, 2) == 0                                 // window
         && std::memcmp(a + 18, b + 18, c.headers - c.l4 - 18) == 0;            // urgent pointer, options
}

size_t Coalescer::find(const uint8_t* packet, const Candidate& candidate) const {
  for (size_t i = 0; i < kFlows; i++) {
    if (flows_[i].count != 0 && same_flow(flows_[i], packet, candidate)) return i;
  }
  return kNone;
}

/** Makes the packet in the spare slot the first of a super-packet. */
void Coalescer::open(const Candidate& c) {
  const size_t index = spare_;
  Flow& flow = flows_[index];
  flow.ipv4 = c.ipv4;
  flow.udp = c.udp;
  flow.push = false;
  flow.l4 = c.l4;
  flow.headers = c.headers;
  flow.segment = c.payload;
  flow.payload = 0;
  append(index, c);
  choose_spare();
}

void Coalescer::append(size_t index, const Candidate& c) {
  Flow& flow = flows_[index];
  flow.count++;
  flow.payload += c.payload;
  flow.push = c.last;
  current_ = index;
  if (c.last || c.payload < flow.segment) close(index);
}

/** Writes a super-packet with what the kernel needs to cut it again. */
void Coalescer::close(size_t index) {
  Flow& flow = flows_[index];
  const size_t count = flow.count;
  const size_t length = flow.headers + flow.payload;
  flow.count = 0;
  if (current_ == index) current_ = kNone;
  if (count == 1) return write_single(flow.start, length, true);

  uint8_t* l4 = flow.start + flow.l4;
  const uint16_t l4_length = static_cast<uint16_t>(length - flow.l4);
  if (flow.ipv4) {
    store16(flow.start + 2, static_cast<uint16_t>(length));
    store16(flow.start + 10, 0);
    checksum_store(flow.start + 10, checksum_add(flow.start, kIpv4Header));
  } else {
    store16(flow.start + 4, l4_length);
  }
  const uint16_t partial = checksum_fold(pseudo_sum(flow.start, flow.ipv4) + checksum_word(l4_length));
  VirtioHeader header;
  header.flags = VirtioHeader::kNeedsChecksum;
  header.header_length = static_cast<uint16_t>(flow.headers);
  header.gso_size = static_cast<uint16_t>(flow.segment);
  header.checksum_start = static_cast<uint16_t>(flow.l4);
  if (flow.udp) {
    header.gso_type = VirtioHeader::kGsoUdp;
    header.checksum_offset = 6;
    store16(l4 + 4, l4_length);
  } else {
    header.gso_type = flow.ipv4 ? VirtioHeader::kGsoTcp4 : VirtioHeader::kGsoTcp6;
    header.checksum_offset = 16;
    if (flow.push) l4[13] |= kPush;
  }
  std::memcpy(l4 + header.checksum_offset, &partial, sizeof partial);
  uint8_t* frame = flow.start - sizeof header;
  std::memcpy(frame, &header, sizeof header);
  sink_.write_frame(frame, sizeof header + length, count);
}

/** `checked`: its checksums were verified here, which spares the kernel the same work. */
void Coalescer::write_single(uint8_t* packet, size_t length, bool checked) {
  VirtioHeader header;
  if (checked) header.flags = VirtioHeader::kDataValid;
  uint8_t* frame = packet - sizeof header;
  std::memcpy(frame, &header, sizeof header);
  sink_.write_frame(frame, sizeof header + length, 1);
}

void Coalescer::choose_spare() {
  for (size_t i = 0; i < kFlows; i++) {
    if (flows_[i].count == 0) {
      spare_ = i;
      return;
    }
  }
  flush();
}

}  // namespace tunwright
