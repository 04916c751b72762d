#pragma once
#include <string>
#include <vector>

#include "file_descriptor.hpp"
#include "offloads.hpp"

namespace tunwright {

/** A TUN device of ours: gone when closed. Packets are preceded by a VirtioHeader. */
class TunDevice {
 public:
  /**
   * Creates `name`, sets its MTU and brings it up, without carrier. `queues`: how many threads read; the kernel spreads
   * flows over them by their hash, and a flow stays where it is. Throws SystemError.
   */
  TunDevice(const std::string& name, int mtu, size_t queues, const Offloads& wanted = {});

  size_t queues() const { return queues_.size(); }
  /** To read from. */
  int queue(size_t index) const { return queues_[index].get(); }
  /** To write to: with one queue the same, otherwise one that the kernel gives no packets to. */
  int writer() const { return writer_.get() == -1 ? queues_[0].get() : writer_.get(); }
  int index() const { return index_; }
  /** The kernel accepts UDP super-packets from us. */
  bool udp_segmentation() const { return udp_segmentation_; }
  /** What the kernel does not allow is left as it is. */
  void set_mtu(int mtu);
  void set_carrier(bool up);

 private:
  FileDescriptor attach(short more_flags);
  void enable(const Offloads& wanted);

  const std::string name_;
  std::vector<FileDescriptor> queues_;
  FileDescriptor writer_;
  int index_ = 0;
  bool udp_segmentation_ = false;
};

}  // namespace tunwright
