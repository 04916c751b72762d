#pragma once
#include <atomic>
#include <memory>
#include <utility>

namespace tunwright {

/**
 * Objects unlinked from what the packet thread reads, waiting until it can no longer hold them. Any thread retires; the
 * packet thread, the only reader, reclaims at the top of its loop, where it holds nothing: everything on the list then
 * was unlinked before and is unreachable. (With several readers this becomes an epoch per thread.)
 */
template <typename T>
class Retired {
 public:
  Retired() = default;
  ~Retired() { reclaim(); }
  Retired(const Retired&) = delete;
  Retired& operator=(const Retired&) = delete;

  void retire(std::unique_ptr<T> object) {
    if (object == nullptr) return;
    Node* node = new Node{std::move(object), head_.load(std::memory_order_relaxed)};
    while (!head_.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }

  /** Destroys, and so zeroises, everything retired before the call. */
  void reclaim() {
    if (head_.load(std::memory_order_relaxed) == nullptr) return;
    for (Node* node = head_.exchange(nullptr, std::memory_order_acquire); node != nullptr;)
      delete std::exchange(node, node->next);
  }

 private:
  struct Node {
    std::unique_ptr<T> object;
    Node* next;
  };
  std::atomic<Node*> head_{nullptr};
};

}  // namespace tunwright
