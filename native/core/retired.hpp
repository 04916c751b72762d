#pragma once
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "readers.hpp"

namespace tunwright {

/** Objects unlinked from what packet threads read, waiting until none of these can hold them any longer. */
template <typename T>
class Retired {
 public:
  explicit Retired(Readers& readers) : readers_(readers) {}
  /** Once no reader runs any more. */
  ~Retired() { take_over(); }
  Retired(const Retired&) = delete;
  Retired& operator=(const Retired&) = delete;

  /** `object` can be reached no more. Any thread; null is nothing to do. */
  void retire(std::unique_ptr<T> object) {
    if (object == nullptr) return;
    Node* node = new Node{std::move(object), readers_.mark(), head_.load(std::memory_order_relaxed)};
    while (!head_.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }

  /** Destroys, and so zeroises, what nobody holds. One thread, always the same. */
  void reclaim() {
    if (head_.load(std::memory_order_relaxed) != nullptr) take_over();
    if (waiting_.empty()) return;
    std::erase_if(waiting_, [this](const auto& node) { return readers_.have_passed(node->mark); });
  }

 private:
  struct Node {
    std::unique_ptr<T> object;
    uint64_t mark;
    Node* next;
  };

  void take_over() {
    for (Node* node = head_.exchange(nullptr, std::memory_order_acquire); node != nullptr;)
      waiting_.emplace_back(std::exchange(node, node->next));
  }

  Readers& readers_;
  std::atomic<Node*> head_{nullptr};
  std::vector<std::unique_ptr<Node>> waiting_;
};

}  // namespace tunwright
