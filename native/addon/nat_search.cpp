#include "nat_search.hpp"

#include <sys/resource.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "../core/bytes.hpp"
#include "../core/nat_oracle.hpp"
#include "arguments.hpp"
#include "errors.hpp"

namespace tunwright {

namespace {

constexpr int kLowestPriority = 19;

class NatSearch;
void deliver(Napi::Env env, Napi::Function callback, std::nullptr_t*, NatSearch* search);
using DoneFunction = Napi::TypedThreadSafeFunction<std::nullptr_t, NatSearch, deliver>;

/**
 * One search on a thread of its own that yields to everything else on the machine. It lives until its result is delivered,
 * or until the environment ends.
 */
class NatSearch {
 public:
  NatSearch(Napi::Env env, const NatOracle& oracle, std::vector<NatSearchStep> steps, const Napi::Function& on_done)
      : env_(env), oracle_(oracle), steps_(std::move(steps)), done_(DoneFunction::New(env, on_done, "tunwright nat", 0, 1)) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (...) {
      done_.Abort();
      throw;
    }
    napi_add_env_cleanup_hook(env_, abandon, this);
  }
  ~NatSearch() {
    cancelled_->store(true);
    thread_.join();
    napi_remove_env_cleanup_hook(env_, abandon, this);
  }
  NatSearch(const NatSearch&) = delete;
  NatSearch& operator=(const NatSearch&) = delete;

  /** Outlives the search: whoever holds it may cancel a search that is over. */
  const std::shared_ptr<std::atomic<bool>>& cancelled() const { return cancelled_; }
  const std::optional<NatOracle::Endpoint>& found() const { return found_; }

 private:
  void run() {
    // On Linux the priority is the thread's own.
    ::setpriority(PRIO_PROCESS, 0, kLowestPriority);
    found_ = search_nat(oracle_, steps_, *cancelled_);
    done_.NonBlockingCall(this);
    done_.Release();
  }

  static void abandon(void* search) { delete static_cast<NatSearch*>(search); }

  const Napi::Env env_;
  const NatOracle oracle_;
  const std::vector<NatSearchStep> steps_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  std::optional<NatOracle::Endpoint> found_;
  DoneFunction done_;
  std::thread thread_;
};

Napi::Value to_value(Napi::Env env, const std::optional<NatOracle::Endpoint>& found) {
  if (!found) return env.Undefined();
  auto address = Napi::Uint8Array::New(env, 4);
  store32(address.Data(), found->address);
  auto object = Napi::Object::New(env);
  object.Set("address", address);
  object.Set("port", static_cast<double>(found->port));
  return object;
}

/** Runs on the JavaScript thread; without an environment the cleanup hook has taken care of the search. */
void deliver(Napi::Env env, Napi::Function callback, std::nullptr_t*, NatSearch* search) {
  if (env == nullptr || callback == nullptr) return;
  const std::unique_ptr<NatSearch> over(search);
  if (over->cancelled()->load()) return;
  try {
    callback.Call({to_value(env, over->found())});
  } catch (const Napi::Error& error) {
    report_uncaught(env, error);
  }
}

std::vector<NatSearchStep> steps_of(const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "steps: expected an array");
  const auto array = value.As<Napi::Array>();
  std::vector<NatSearchStep> steps;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Object step = arguments::object(array.Get(i), "steps");
    const auto first = static_cast<uint32_t>(arguments::integer(step.Get("first"), "steps.first", 0, UINT32_MAX));
    const int64_t most = int64_t{UINT32_MAX} + 1 - first;
    const auto count = static_cast<uint64_t>(arguments::integer(step.Get("count"), "steps.count", 1, most));
    const auto port = static_cast<uint16_t>(arguments::integer(step.Get("port"), "steps.port", 0, 65535));
    steps.push_back({first, count, port});
  }
  return steps;
}

}  // namespace

Napi::Value search_nat_endpoint(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto spis = arguments::octets(info[0], "spis", {NatOracle::kSpis});
  const auto hash = arguments::octets(info[1], "hash", {NatOracle::kHash});
  std::vector<NatSearchStep> steps = steps_of(info[2]);
  const Napi::Function on_done = arguments::function(info[3], "onDone");
  return translated(env, [&] {
    const NatOracle oracle(spis.first<NatOracle::kSpis>(), hash.first<NatOracle::kHash>());
    // Deletes itself when it is over.
    const auto* search = new NatSearch(env, oracle, std::move(steps), on_done);
    const std::shared_ptr<std::atomic<bool>> cancelled = search->cancelled();
    auto object = Napi::Object::New(env);
    object.Set("cancel", Napi::Function::New(env, [cancelled](const Napi::CallbackInfo&) { cancelled->store(true); }));
    return object;
  });
}

}  // namespace tunwright
