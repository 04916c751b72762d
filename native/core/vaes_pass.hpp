#pragma once
// AES-GCM over one message in 512-bit registers, NIST SP 800-38D §7, with the Internet checksum of the plaintext on the way.
#include "aes_gcm.hpp"
#include "bytes.hpp"
#include "vaes_blocks.hpp"

namespace tunwright::vaes {

inline constexpr size_t kBlock = 16;
inline constexpr size_t kRegister = 64;
inline constexpr size_t kGroup = 4 * kRegister;
/** As many blocks are hashed before one reduction: a packet of 1,500 octets and some more. */
inline constexpr size_t kChunkBlocks = 112;
inline constexpr size_t kChunk = kChunkBlocks * kBlock;
inline constexpr size_t kPowers = kChunkBlocks + 2;
inline constexpr int kRoundsMax = 14;

struct alignas(kRegister) Keys {
  __m512i round[kRoundsMax + 1];  // each in all four lanes
  __m128i power[kPowers + 3];     // H^kPowers, …, H^1; then 0, which the last register of a message may meet
  int rounds;
};

/** One message on its way: counter, hash and sum. */
template <int kRounds, bool kSeal>
class Pass {
 public:
  VAES_INLINE Pass(const Keys& keys, const uint8_t* nonce) : keys_(keys) {
    // By halves as they were written: a wider load would wait until they are in the cache.
    const uint64_t salt = load32(nonce);
    const uint64_t iv = load64(nonce + 4);
    const __m128i zeroth = _mm_set_epi64x(static_cast<long long>(salt << 32 | iv >> 32), static_cast<long long>(iv << 32));
    // The block with the number 1 masks the tag, the data begin at 2: SP 800-38D §7.1.
    const __m512i numbers = _mm512_set_epi32(0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1);
    counter_ = _mm512_add_epi32(_mm512_broadcast_i32x4(zeroth), numbers);
    mask_ = _mm512_castsi512_si128(encrypt(swap_octets(counter_)));
    counter_ = _mm512_add_epi32(counter_, _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, 1)));
  }

  VAES_INLINE void additional(std::span<const uint8_t> aad) {
    lengths_ = _mm_set_epi64x(static_cast<long long>(8 * aad.size()), 0);
    for (size_t at = 0; at < aad.size(); at += kBlock) {
      if (at > 0) hash_ = multiply(hash_, keys_.power[kPowers - 1]);
      const size_t size = aad.size() - at < kBlock ? aad.size() - at : kBlock;
      const __m128i block = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << size) - 1), aad.data() + at);
      hash_ = _mm_xor_si128(hash_, swap_octets(block));
    }
  }

  /** The next `length` octets of the message, at most a chunk; all but the last call with a whole one. */
  VAES_INLINE void data(const uint8_t* in, uint8_t* out, size_t length, bool last) {
    begin(length, last);
    rest(in, out, length);
    if (!last) hash_ = products_.reduce();
  }

  /** The whole of a message, at most a chunk, whose first octets wait for the sum of all. */
  VAES_INLINE void data_under(const LateChecksum& checksum, uint8_t* in, uint8_t* out, size_t length) {
    begin(length, true);
    const size_t head = length < kRegister ? length : kRegister;
    const __m512i stream = encrypt(next_counters());
    const __m128i* powers = powers_;
    powers_ += kRegister / kBlock;
    rest(in + head, out + head, length - head);
    const __mmask64 octets = first(head);
    __m512i plain = _mm512_maskz_loadu_epi8(octets, in);
    add_sum(plain);
    const uint16_t value = checksum.value(sum());
    std::memcpy(in + checksum.field, &value, sizeof value);
    plain = _mm512_mask_set1_epi16(plain, __mmask32{1} << checksum.field / 2, static_cast<short>(value));
    const __m512i sealed = _mm512_maskz_mov_epi8(octets, _mm512_xor_si512(stream, plain));
    _mm512_mask_storeu_epi8(out, octets, sealed);
    products_.add(swap_octets(sealed), _mm512_loadu_si512(powers));
  }

  VAES_INLINE __m128i tag() {
    products_.add(lengths_, keys_.power[kPowers - 1]);
    return _mm_xor_si128(swap_octets(products_.reduce()), mask_);
  }

  VAES_INLINE uint64_t sum() const { return static_cast<uint64_t>(_mm512_reduce_add_epi64(sums_)); }

 private:
  /**
   * With H the hash key, a message of n blocks X hashes to A·H^(n+2) + X1·H^(n+1) + … + Xn·H^2 + lengths·H. What an earlier chunk left
   * has been multiplied by H and goes with X1; a chunk that is not the last ends in Xn·H.
   */
  VAES_INLINE void begin(size_t length, bool last) {
    lengths_ = _mm_add_epi64(lengths_, _mm_set_epi64x(0, static_cast<long long>(8 * length)));
    const size_t first_power = (length + kBlock - 1) / kBlock + (last ? 1 : 0);
    powers_ = &keys_.power[kPowers - first_power];
    products_ = Products();
    products_.add(hash_, later_chunk_ ? powers_[0] : powers_[-1]);
    later_chunk_ = true;
  }

  VAES_INLINE void rest(const uint8_t* in, uint8_t* out, size_t length) {
    if (length >= kGroup) {
      group<false>(in, out);
      for (length -= kGroup; length >= kGroup; length -= kGroup) group<kSeal>(in += kGroup, out += kGroup);
      in += kGroup;
      out += kGroup;
      if (kSeal) {
#pragma GCC unroll 4
        for (const __m512i& sealed : waiting_) hash(sealed);
      }
    }
    switch ((length + kRegister - 1) / kRegister) {
      case 1: return tail<1>(in, out, length);
      case 2: return tail<2>(in, out, length);
      case 3: return tail<3>(in, out, length);
      case 4: return tail<4>(in, out, length);
    }
  }

  /**
   * Four registers at a time. The processor multiplies while it encrypts if both come in turns: what this group is hashed from, or, when
   * it is being sealed, what the group before it left `waiting`.
   */
  template <bool kWaiting>
  VAES_INLINE void group(const uint8_t* in, uint8_t* out) {
    __m512i block[4], before[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) block[i] = _mm512_xor_si512(next_counters(), keys_.round[0]);
#pragma GCC unroll 16
    for (size_t round = 1; round < kRounds; round++) {
#pragma GCC unroll 4
      for (__m512i& each : block) each = _mm512_aesenc_epi128(each, keys_.round[round]);
      if (round % 2 == 0 || round > 7) continue;
      const size_t i = round / 2;
      before[i] = _mm512_loadu_si512(in + i * kRegister);
      if (!kSeal) hash(before[i]);
      if (kWaiting) hash(waiting_[i]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
      const __m512i after = _mm512_xor_si512(_mm512_aesenclast_epi128(block[i], keys_.round[kRounds]), before[i]);
      _mm512_storeu_si512(out + i * kRegister, after);
      add_sum(kSeal ? before[i] : after);
      if (kSeal) waiting_[i] = after;
    }
  }

  /** The last `length` octets, which begin in each of `kCount` registers. */
  template <size_t kCount>
  VAES_INLINE void tail(const uint8_t* in, uint8_t* out, size_t length) {
    __m512i block[kCount];
#pragma GCC unroll 4
    for (size_t i = 0; i < kCount; i++) block[i] = _mm512_xor_si512(next_counters(), keys_.round[0]);
#pragma GCC unroll 16
    for (size_t round = 1; round < kRounds; round++) {
#pragma GCC unroll 4
      for (size_t i = 0; i < kCount; i++) block[i] = _mm512_aesenc_epi128(block[i], keys_.round[round]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < kCount; i++) {
      const __mmask64 octets = i + 1 < kCount ? ~__mmask64{0} : first(length - i * kRegister);
      const __m512i before = _mm512_maskz_loadu_epi8(octets, in + i * kRegister);
      const __m512i stream = _mm512_aesenclast_epi128(block[i], keys_.round[kRounds]);
      const __m512i after = _mm512_maskz_mov_epi8(octets, _mm512_xor_si512(stream, before));
      _mm512_mask_storeu_epi8(out + i * kRegister, octets, after);
      add_sum(kSeal ? before : after);
      hash(kSeal ? after : before);
    }
  }

  VAES_INLINE void hash(__m512i ciphertext) {
    products_.add(swap_octets(ciphertext), _mm512_loadu_si512(powers_));
    powers_ += kRegister / kBlock;
  }

  /** Words of 32 bits in lanes of 64, as checksum_add does. */
  VAES_INLINE void add_sum(__m512i octets) {
    const __m512i low = _mm512_and_si512(octets, _mm512_set1_epi64(0xffffffff));
    sums_ = _mm512_add_epi64(sums_, _mm512_add_epi64(low, _mm512_srli_epi64(octets, 32)));
  }

  VAES_INLINE __m512i next_counters() {
    const __m512i blocks = swap_octets(counter_);
    counter_ = _mm512_add_epi32(counter_, _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, 4)));
    return blocks;
  }

  VAES_INLINE __m512i encrypt(__m512i block) const {
    block = _mm512_xor_si512(block, keys_.round[0]);
#pragma GCC unroll 16
    for (int round = 1; round < kRounds; round++) block = _mm512_aesenc_epi128(block, keys_.round[round]);
    return _mm512_aesenclast_epi128(block, keys_.round[kRounds]);
  }

  static VAES_INLINE __mmask64 first(size_t octets) { return ~uint64_t{0} >> (kRegister - octets); }

  const Keys& keys_;
  __m512i counter_;
  __m512i sums_ = {};
  __m512i waiting_[4];  // sealed and not hashed
  Products products_;
  const __m128i* powers_ = nullptr;  // of the block that comes next
  __m128i mask_;
  __m128i hash_ = {};
  __m128i lengths_ = {};
  bool later_chunk_ = false;
};

}  // namespace tunwright::vaes
