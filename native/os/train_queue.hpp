#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "../core/counters.hpp"
#include "../core/train.hpp"
#include "arena.hpp"
#include "outbound_sa.hpp"

namespace tunwright {

/**
 * Sealed packets on their way into a socket. They gather in trains and leave together: a train is one message where the
 * kernel segments (UDP_SEGMENT) and one message per packet elsewhere, many messages to a system call. All that waits has
 * one departure. Used by one thread.
 */
class TrainQueue {
 public:
  // More would gather before the first leaves, and the far end, which could be decrypting by then, would idle.
  static constexpr size_t kTrains = 8;
  static constexpr size_t kArena = kTrains * (Train::kCapacity + 256);

  TrainQueue(TunnelCounters& counters, Arena& arena);

  /** Packets from now on go there. Sends what has another departure first; false while the socket takes no more. */
  bool depart_through(const Departure& departure);

  /** Makes room for all packets of a super-packet; false while the socket takes no more. */
  bool make_room();
  /** Where a packet of `size` octets is to be sealed to; null when the queue and the socket are full. */
  uint8_t* claim(size_t size, uint8_t traffic_class);
  /** `size` octets were written at the place claimed last. */
  void append(size_t size, uint8_t traffic_class);

  /** Sends what is waiting; false while the socket takes no more. */
  bool flush();

  /** Whether, since the last call, the kernel has called a packet too big for the path. */
  bool take_path_suspect() { return std::exchange(path_suspect_, false); }

  /** Where what waits is going. */
  const Departure& departure() const { return departure_; }

 private:
  struct Messages;
  // A super-packet's 64 kB and what ESP adds to 64 packets, where one train ends early and one was begun before.
  static constexpr size_t kSuperPacket = 4;

  size_t send(Messages& messages);
  void prepare(Messages& messages);
  void finish(size_t count);
  void drop(int error);
  bool whole_trains() const { return departure_.socket->segmentation() && segmentation_; }

  TunnelCounters& counters_;
  std::array<Train, kTrains> trains_;
  size_t first_ = 0;  // the train that leaves next
  size_t used_ = 0;   // one past the train that packets join
  bool opens_ = false;  // the place claimed last begins a train
  Departure departure_;
  bool path_suspect_ = false;
  bool segmentation_ = true;  // false once the device has refused to segment
};

}  // namespace tunwright
