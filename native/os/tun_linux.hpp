#pragma once
#include <string>

#include "file_descriptor.hpp"

namespace tunwright {

/** A TUN device of ours: gone when closed. Packets are preceded by a VirtioHeader. */
class TunDevice {
 public:
  /** Creates `name`, sets its MTU and brings it up. Throws SystemError. */
  TunDevice(const std::string& name, int mtu);

  int fd() const { return fd_.get(); }
  int index() const { return index_; }
  /** The kernel accepts UDP super-packets from us. */
  bool udp_segmentation() const { return udp_segmentation_; }
  /** What the kernel does not allow is left as it is. */
  void set_mtu(int mtu);
  void set_carrier(bool up);

 private:
  void enable_offloads();

  const std::string name_;
  FileDescriptor fd_;
  int index_ = 0;
  bool udp_segmentation_ = false;
};

}  // namespace tunwright
