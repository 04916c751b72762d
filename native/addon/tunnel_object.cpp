#include "tunnel_object.hpp"

#include <atomic>
#include <memory>
#include <new>

#include "../os/tunnel.hpp"
#include "arguments.hpp"
#include "counters_view.hpp"
#include "errors.hpp"

namespace tunwright {

namespace {

constexpr int64_t kCapturePacketsMax = 16384;
constexpr int64_t kCaptureSnapMax = 9216;

/** One up-call on its way from a packet thread to JavaScript. */
struct Event {
  std::shared_ptr<std::atomic<int>> queued;  // null for events that are never dropped
  enum class Kind : uint8_t { ike, mtu, failed } kind = Kind::failed;
  uint16_t local_port = 0;
  SocketAddress from;
  std::vector<uint8_t> message;
  size_t mtu = 0;
  size_t path_mtu = 0;
  int code = 0;
  const char* call = "";

  ~Event() {
    if (queued) queued->fetch_sub(1, std::memory_order_relaxed);
  }
};

Napi::Uint8Array copy(Napi::Env env, std::span<const uint8_t> octets) {
  auto array = Napi::Uint8Array::New(env, octets.size());
  std::memcpy(array.Data(), octets.data(), octets.size());
  return array;
}

Napi::Object to_object(Napi::Env env, const Event& event) {
  auto object = Napi::Object::New(env);
  switch (event.kind) {
    case Event::Kind::ike:
      object.Set("kind", "ike");
      object.Set("localPort", static_cast<double>(event.local_port));
      object.Set("remoteAddress", copy(env, event.from.octets()));
      object.Set("remotePort", static_cast<double>(event.from.port()));
      object.Set("message", copy(env, event.message));
      break;
    case Event::Kind::mtu:
      object.Set("kind", "mtu");
      object.Set("mtu", static_cast<double>(event.mtu));
      object.Set("pathMtu", static_cast<double>(event.path_mtu));
      break;
    case Event::Kind::failed:
      object.Set("kind", "failed");
      object.Set("code", error_name(event.code));
      object.Set("syscall", event.call);
      break;
  }
  return object;
}

Napi::Object to_object(Napi::Env env, const CaptureMark& mark, std::span<const uint8_t> octets) {
  auto object = Napi::Object::New(env);
  object.Set("timeNs", Napi::BigInt::New(env, mark.time_ns));
  object.Set("length", static_cast<double>(mark.length));
  object.Set("sent", mark.sent);
  object.Set("octets", copy(env, octets));
  if (mark.remote_length == 0) return object;
  object.Set("localPort", static_cast<double>(mark.local_port));
  object.Set("remotePort", static_cast<double>(mark.remote_port));
  object.Set("remoteAddress", copy(env, {mark.remote, mark.remote_length}));
  return object;
}

/** Runs on the JavaScript thread; without an environment the queue is being thrown away. */
void deliver(Napi::Env env, Napi::Function callback, std::nullptr_t*, Event* raw) {
  const std::unique_ptr<Event> event(raw);
  if (env == nullptr || callback == nullptr) return;
  try {
    callback.Call({to_object(env, *event)});
  } catch (const Napi::Error& error) {
    report_uncaught(env, error);
  }
}

using EventFunction = Napi::TypedThreadSafeFunction<std::nullptr_t, Event, deliver>;

/** Carries the tunnel's up-calls to JavaScript; a flood of IKE messages is dropped here and not in the heap. */
class EventChannel final : public TunnelObserver {
 public:
  EventChannel(Napi::Env env, const Napi::Function& callback)
      : function_(EventFunction::New(env, callback, "tunwright tunnel", 0, 1)) {}
  ~EventChannel() override { function_.Abort(); }

  bool on_ike(uint16_t local_port, const SocketAddress& from, std::span<const uint8_t> message) noexcept override {
    if (queued_->load(std::memory_order_relaxed) >= kQueueMax) return false;
    std::unique_ptr<Event> event(new (std::nothrow) Event);
    if (event == nullptr) return false;
    queued_->fetch_add(1, std::memory_order_relaxed);
    event->queued = queued_;
    event->kind = Event::Kind::ike;
    event->local_port = local_port;
    event->from = from;
    event->message.assign(message.begin(), message.end());
    return enqueue(std::move(event));
  }

  void on_mtu(size_t inner, size_t path) noexcept override {
    auto event = std::make_unique<Event>();
    event->kind = Event::Kind::mtu;
    event->mtu = inner;
    event->path_mtu = path;
    enqueue(std::move(event));
  }

  void on_failed(int code, const char* call) noexcept override {
    auto event = std::make_unique<Event>();
    event->code = code;
    event->call = call;
    enqueue(std::move(event));
  }

 private:
  static constexpr int kQueueMax = 256;

  bool enqueue(std::unique_ptr<Event> event) {
    if (function_.NonBlockingCall(event.get()) != napi_ok) return false;
    [[maybe_unused]] Event* given = event.release();
    return true;
  }

  EventFunction function_;
  const std::shared_ptr<std::atomic<int>> queued_ = std::make_shared<std::atomic<int>>(0);
};

/** Takes a stopped tunnel apart on a thread of the pool, where nobody waits for the kernel. */
class Dismantling final : public Napi::AsyncWorker {
 public:
  static Napi::Promise begin(Napi::Env env, std::unique_ptr<Tunnel> tunnel) {
    auto* worker = new Dismantling(env, std::move(tunnel));  // deletes itself
    const Napi::Promise promise = worker->done_.Promise();
    worker->Queue();
    return promise;
  }

 private:
  Dismantling(Napi::Env env, std::unique_ptr<Tunnel> tunnel)
      : AsyncWorker(env), tunnel_(std::move(tunnel)), done_(env) {}

  void Execute() override { tunnel_.reset(); }
  void OnOK() override { done_.Resolve(Env().Undefined()); }

  std::unique_ptr<Tunnel> tunnel_;
  const Napi::Promise::Deferred done_;
};

class TunnelObject final : public Napi::ObjectWrap<TunnelObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeTunnel",
                       {InstanceMethod<&TunnelObject::add_inbound>("addInbound"),
                        InstanceMethod<&TunnelObject::remove_inbound>("removeInbound"),
                        InstanceMethod<&TunnelObject::set_outbound>("setOutbound"),
                        InstanceMethod<&TunnelObject::move_outbound>("moveOutbound"),
                        InstanceMethod<&TunnelObject::clear_outbound>("clearOutbound"),
                        InstanceMethod<&TunnelObject::send_ike>("sendIke"),
                        InstanceMethod<&TunnelObject::send_keepalive>("sendKeepalive"),
                        InstanceMethod<&TunnelObject::start_capture>("startCapture"),
                        InstanceMethod<&TunnelObject::end_capture>("endCapture"),
                        InstanceMethod<&TunnelObject::collect_capture>("collectCapture"),
                        InstanceMethod<&TunnelObject::close>("close")});
  }

  explicit TunnelObject(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    const Napi::Env env = info.Env();
    const TunnelOptions options = arguments::tunnel_options(info[0]);
    const Napi::Function callback = arguments::function(info[1], "onEvent");
    translated(env, [&] {
      channel_ = std::make_unique<EventChannel>(env, callback);
      tunnel_ = std::make_unique<Tunnel>(options, *channel_);
    });
    family_ = options.socket.local_address.size();
    Value().Set("interfaceIndex", tunnel_->interface_index());
    Value().Set("counters", counters_view(env, tunnel_->counters()));
    // An open tunnel is not garbage; and a process that exits without closing it must not leave its threads behind.
    Ref();
    napi_add_env_cleanup_hook(env, shut_down, this);
  }

  ~TunnelObject() override {
    if (tunnel_) napi_remove_env_cleanup_hook(Env(), shut_down, this);
    shut_down(this);
  }

 private:
  Tunnel& open_tunnel() {
    if (!tunnel_) throw Napi::Error::New(Env(), "the tunnel is closed");
    return *tunnel_;
  }

  Napi::Value add_inbound(const Napi::CallbackInfo& info) {
    const Napi::Object options = arguments::object(info[0], "sa");
    const SaKeys keys = arguments::sa_keys(options);
    const uint32_t window = arguments::replay_window(options.Get("replayWindow"));
    return translated(info.Env(), [&]() -> Napi::Value {
      auto sa = std::make_unique<InboundSa>(keys, window);
      const std::shared_ptr<SaCounters> counters = sa->counters;
      switch (open_tunnel().add_inbound(sa)) {
        case SaTable::Install::done: return counters_view(info.Env(), counters);
        case SaTable::Install::duplicate: throw SystemError(EEXIST, "addInbound");
        case SaTable::Install::full: break;
      }
      throw SystemError(ENOSPC, "addInbound");
    });
  }

  void remove_inbound(const Napi::CallbackInfo& info) {
    open_tunnel().remove_inbound(static_cast<uint32_t>(arguments::integer(info[0], "spi", 1, UINT32_MAX)));
  }

  Napi::Value set_outbound(const Napi::CallbackInfo& info) {
    const Napi::Object options = arguments::object(info[0], "sa");
    const SaKeys keys = arguments::sa_keys(options);
    const uint64_t next_sequence = arguments::next_sequence(options, keys.esn);
    const Encapsulation encapsulation = arguments::encapsulation(info[1]);
    const SocketAddress remote = remote_address(info[2], info[3]);
    return translated(info.Env(), [&]() -> Napi::Value {
      return counters_view(info.Env(), open_tunnel().set_outbound(keys, next_sequence, encapsulation, remote));
    });
  }

  void move_outbound(const Napi::CallbackInfo& info) { open_tunnel().move_outbound(remote_address(info[0], info[1])); }

  void clear_outbound(const Napi::CallbackInfo& info) {
    translated(info.Env(), [&] { open_tunnel().clear_outbound(); });
  }

  void send_ike(const Napi::CallbackInfo& info) {
    const int64_t port = arguments::integer(info[0], "localPort", kIkePort, kNatPort);
    if (port != kIkePort && port != kNatPort)
      throw Napi::TypeError::New(info.Env(), "localPort: expected 500 or 4500, got " + std::to_string(port));
    const SocketAddress remote = remote_address(info[1], info[2]);
    open_tunnel().send_ike(static_cast<uint16_t>(port), remote, arguments::octets(info[3], "message"));
  }

  void send_keepalive(const Napi::CallbackInfo& info) { open_tunnel().send_keepalive(remote_address(info[0], info[1])); }

  void start_capture(const Napi::CallbackInfo& info) {
    const CaptureSide side = arguments::capture_side(info[0]);
    const auto packets = static_cast<size_t>(arguments::integer(info[1], "packets", 1, kCapturePacketsMax));
    const auto snap_length = static_cast<size_t>(arguments::integer(info[2], "snapLength", 64, kCaptureSnapMax));
    translated(info.Env(), [&] { open_tunnel().start_capture(side, packets, snap_length); });
  }

  void end_capture(const Napi::CallbackInfo&) { open_tunnel().end_capture(); }

  Napi::Value collect_capture(const Napi::CallbackInfo& info) {
    const std::unique_ptr<Capture> capture = open_tunnel().collect_capture();
    if (capture == nullptr) return info.Env().Undefined();
    auto packets = Napi::Array::New(info.Env());
    for (const CaptureRing& ring : capture->rings())
      ring.for_each([&](const CaptureMark& mark, std::span<const uint8_t> octets) {
        packets.Set(packets.Length(), to_object(info.Env(), mark, octets));
      });
    return packets;
  }

  /** Repeated: the same promise as the first time. */
  Napi::Value close(const Napi::CallbackInfo& info) {
    if (!tunnel_) return closed_.Value();
    napi_remove_env_cleanup_hook(info.Env(), shut_down, this);
    tunnel_->stop();
    channel_.reset();
    const Napi::Promise closed = Dismantling::begin(info.Env(), std::move(tunnel_));
    closed_ = Napi::Reference<Napi::Promise>::New(closed, 1);
    Unref();
    return closed;
  }

  /** The threads stop before the channel they speak through goes. */
  static void shut_down(void* self) {
    auto* object = static_cast<TunnelObject*>(self);
    object->tunnel_.reset();
    object->channel_.reset();
  }

  SocketAddress remote_address(const Napi::Value& address, const Napi::Value& port) {
    const SocketAddress remote = arguments::socket_address(address, port);
    if (remote.octets().size() != family_)
      throw Napi::TypeError::New(Env(), "remoteAddress: expected " + std::to_string(family_) + " octets, got " +
                                            std::to_string(remote.octets().size()) + " octets");
    return remote;
  }

  size_t family_ = 4;  // octets of an outer address
  std::unique_ptr<EventChannel> channel_;
  std::unique_ptr<Tunnel> tunnel_;
  Napi::Reference<Napi::Promise> closed_;  // empty while it is open
};

}  // namespace

void define_tunnel(Napi::Env env, Napi::Object) {
  // Kept per environment, so that the addon works in worker threads.
  env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(TunnelObject::define(env))));
}

Napi::Value open_tunnel(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<Napi::FunctionReference>()->New({info[0], info[1]});
}

}  // namespace tunwright
