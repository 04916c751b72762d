// SAs come, go and send while threads move packets through them: what ThreadSanitizer watches.
#include <deque>
#include <mutex>
#include <thread>

#include "../core/bytes.hpp"
#include "../core/readers.hpp"
#include "../core/retired.hpp"
#include "../core/sa_table.hpp"
#include "../os/outbound_sa.hpp"
#include "check.hpp"

using namespace tunwright;

namespace {

constexpr size_t kSenders = 2;
constexpr size_t kReceiver = 0;  // its number among the readers; senders follow
constexpr size_t kInner = 32;
constexpr size_t kBurst = 5;
constexpr size_t kWaitingMax = 256;
constexpr uint32_t kWindow = 4096;
// A sender that the scheduler forgets for long comes too late for any window: the other one waits for it here.
constexpr uint64_t kAheadMax = 1024;

/** A network without loss between the senders and the receiver. */
class Wire {
 public:
  /** False when it is full. */
  bool put(std::vector<uint8_t> packet) {
    const std::lock_guard lock(turn_);
    if (packets_.size() >= kWaitingMax) return false;
    packets_.push_back(std::move(packet));
    return true;
  }
  std::deque<std::vector<uint8_t>> take() {
    const std::lock_guard lock(turn_);
    return std::exchange(packets_, {});
  }

 private:
  std::mutex turn_;
  std::deque<std::vector<uint8_t>> packets_;
};

/** The parts of a tunnel that its threads share, and one thread for each duty. */
class Tunnel {
 public:
  Tunnel() {
    rekey();
    threads_.emplace_back([this] { receive(); });
    for (size_t i = 0; i < kSenders; i++) threads_.emplace_back([this, i] { send(i); });
  }
  ~Tunnel() {
    stop_.store(true);
    for (std::thread& thread : threads_) thread.join();
    delete outbound_.load();
  }

  /** The new SA receives, then sends; the old one goes when what it has sealed was opened. */
  void rekey() {
    const std::vector<uint8_t> key(16, static_cast<uint8_t>(spi_));
    const std::vector<uint8_t> salt(4, 7);
    const SaKeys keys{.spi = ++spi_, .key = key, .salt = salt, .esn = false};
    auto inbound = std::make_unique<InboundSa>(keys, kWindow);
    EXPECT(table_.install(inbound) == SaTable::Install::done);
    auto outbound = std::make_unique<OutboundSa>(keys, Departure{}, kSenders);
    std::unique_ptr<OutboundSa> before(outbound_.exchange(outbound.release(), std::memory_order_acq_rel));
    if (before == nullptr) return;
    const uint64_t switched = readers_.mark();
    retired_outbound_.retire(std::move(before));
    while (!readers_.have_passed(switched)) std::this_thread::yield();
    for (size_t lane = 0; lane < kSenders; lane++) {
      const uint64_t sealed = sealed_[lane].load();
      while (opened_[lane].load() < sealed) std::this_thread::yield();
    }
    retired_inbound_.retire(table_.remove(spi_ - 1));
  }

  uint64_t opened() const { return opened_[0].load() + opened_[1].load(); }

 private:
  void send(size_t lane) {
    uint32_t number = 0;
    while (!stop_.load(std::memory_order_acquire)) {
      readers_.pass(kReceiver + 1 + lane);
      if (number > sealed_[1 - lane].load() + kAheadMax) {
        std::this_thread::yield();
        continue;
      }
      EspSealer& sealer = outbound_.load(std::memory_order_acquire)->lanes[lane]->sealer;
      sealer.reserve(kBurst);
      for (size_t i = 0; i < kBurst; i++) {
        uint8_t inner[kInner + kEspTrailerMax] = {};
        inner[0] = static_cast<uint8_t>(lane);
        store32(inner + 4, number++);
        std::vector<uint8_t> packet(esp_size(kInner));
        EXPECT(sealer.seal(inner, kInner, kNextHeaderIpv4, packet.data()) == packet.size());
        while (!wires_[lane].put(packet) && !stop_.load()) std::this_thread::yield();
        sealed_[lane].fetch_add(1);
      }
    }
    readers_.leave(kReceiver + 1 + lane);
  }

  void receive() {
    std::array<uint32_t, kSenders> expected{};
    while (!stop_.load(std::memory_order_acquire)) {
      readers_.pass(kReceiver);
      retired_inbound_.reclaim();
      retired_outbound_.reclaim();
      for (Wire& wire : wires_) {
        for (const auto& packet : wire.take()) open(packet, expected);
      }
    }
    readers_.leave(kReceiver);
  }

  void open(const std::vector<uint8_t>& packet, std::array<uint32_t, kSenders>& expected) {
    InboundSa* sa = table_.find(load32(packet.data()));
    EXPECT(sa != nullptr);
    if (sa == nullptr) return;
    std::vector<uint8_t> inner(packet.size());
    EXPECT(sa->opener.open(packet.data(), packet.size(), inner.data()).verdict == EspVerdict::ok);
    EXPECT(load32(&inner[4]) == expected[inner[0]]++);
    opened_[inner[0]].fetch_add(1);
  }

  Readers readers_{1 + kSenders};
  Retired<InboundSa> retired_inbound_{readers_};
  Retired<OutboundSa> retired_outbound_{readers_};
  SaTable table_;
  std::atomic<OutboundSa*> outbound_{nullptr};
  std::array<Wire, kSenders> wires_;
  std::array<std::atomic<uint64_t>, kSenders> sealed_{};
  std::array<std::atomic<uint64_t>, kSenders> opened_{};
  std::atomic<bool> stop_{false};
  uint32_t spi_ = 1000;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST("SA life: rekeys under the traffic of several senders lose, repeat and reorder nothing") {
  Tunnel tunnel;
  for (int i = 0; i < 200; i++) {
    const uint64_t before = tunnel.opened();
    tunnel.rekey();
    while (tunnel.opened() < before + 50) std::this_thread::yield();
  }
  EXPECT(tunnel.opened() > 200 * 50);
}
