#pragma once
#include <sys/epoll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "../core/busy_poll.hpp"
#include "arena.hpp"
#include "receiver.hpp"
#include "transmitter.hpp"
#include "tunnel_parts.hpp"

namespace tunwright {

/** What a packet thread is there for. */
struct Duty {
  std::string name;
  size_t reader;               // its number among the tunnel's threads; number 0 destroys retired SAs
  std::optional<size_t> lane;  // sends what comes from this queue of the TUN, through this lane of the SA
  bool receives;
};

/** A thread that moves packets of one tunnel between the TUN and the sockets, in one direction or both. */
class PacketThread {
 public:
  /** Opens what it needs and does not run yet. Throws SystemError. `parts` and `observer` outlive it. */
  PacketThread(const Duty& duty, const TunnelOptions& options, TunnelParts& parts, TunnelObserver& observer);
  PacketThread(const PacketThread&) = delete;
  PacketThread& operator=(const PacketThread&) = delete;

  /**
   * `processor`: the only one it runs on. `wake_all`: makes every thread of the tunnel pass through its loop. Throws
   * SystemError when the processor is not to be had; it runs then all the same.
   */
  void start(std::optional<int> processor, std::function<void()> wake_all);
  /** To be called once `parts.stop` is set and the thread was woken. */
  void join();
  /** It passes through its loop. Any thread. */
  void wake() const;

 private:
  void run();
  bool turn(const char** failed_call);
  int wait(epoll_event* events);
  void keep_house(uint64_t now_ms);
  void suspect_path();
  void lose_carrier();
  bool serve(int fd, uint32_t ready, uint64_t now_ms, const char** failed_call);
  bool transmit(uint64_t now_ms, const char** failed_call);
  bool received(bool good, const char** failed_call);
  void watch_blocked(const DatagramSocket* full);
  void watch_socket(const DatagramSocket& socket, bool room);
  /** Looks after what the tunnel has once. */
  bool leads() const { return duty_.lane == 0; }

  static constexpr int kEventsMax = 5;

  const Duty duty_;
  TunnelParts& parts_;
  TunnelObserver& observer_;
  Arena arena_;
  std::optional<Transmitter> transmitter_;
  std::optional<Receiver> receiver_;
  FileDescriptor wake_;
  FileDescriptor poll_;
  BusyPoll busy_poll_;
  const DatagramSocket* full_ = nullptr;  // the socket whose room is waited for
  std::function<void()> wake_all_;
  std::thread thread_;
};

}  // namespace tunwright
