#include "polled_socket.hpp"

#include <fcntl.h>
#include <linux/netlink.h>
#include <uv.h>

#include <memory>
#include <vector>

#include "arguments.hpp"
#include "errors.hpp"

namespace tunwright {

namespace {

/**
 * A datagram socket on the event loop that hands each datagram to a JavaScript function. It stays, and keeps the process
 * running, until it is closed.
 */
class PolledSocket : public std::enable_shared_from_this<PolledSocket> {
 public:
  PolledSocket(Napi::Env env, FileDescriptor fd, const Napi::Function& on_message)
      : env_(env), fd_(std::move(fd)), on_message_(Napi::Persistent(on_message)), buffer_(kBuffer) {}

  void start() {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env_, &loop);
    handle_ = new uv_poll_t;
    if (const int error = uv_poll_init(loop, handle_, fd_.get()); error != 0) {
      delete handle_;
      throw SystemError(-error, "uv_poll_init");
    }
    handle_->data = new std::shared_ptr<PolledSocket>(shared_from_this());
    napi_add_async_cleanup_hook(env_, shut_down, this, &cleanup_);
    watch();
  }

  void close() {
    if (!open()) return;
    uv_poll_stop(handle_);
    uv_handle_t* handle = reinterpret_cast<uv_handle_t*>(std::exchange(handle_, nullptr));
    on_message_.Reset();
    uv_close(handle, [](uv_handle_t* closed) {
      auto* poll = reinterpret_cast<uv_poll_t*>(closed);
      auto* owner = static_cast<std::shared_ptr<PolledSocket>*>(poll->data);
      (*owner)->fd_ = FileDescriptor();
      napi_remove_async_cleanup_hook((*owner)->cleanup_);
      delete owner;
      delete poll;
    });
  }

  int fd() const { return fd_.get(); }
  bool open() const { return handle_ != nullptr; }

 private:
  // More than the kernel puts into one netlink datagram (32 kB) or an IP datagram can hold.
  static constexpr size_t kBuffer = 128 << 10;
  // 16 datagrams of 32 kB are 8,000 routes of a dump: more would hold up the event loop.
  static constexpr int kDatagramsPerTurn = 16;

  static std::shared_ptr<PolledSocket> self(uv_poll_t* handle) {
    return *static_cast<std::shared_ptr<PolledSocket>*>(handle->data);
  }

  void watch() {
    uv_poll_start(handle_, UV_READABLE, [](uv_poll_t* handle, int status, int) {
      const std::shared_ptr<PolledSocket> socket = self(handle);
      socket->receive();
      // libuv stops watching a socket with a pending error. Receiving has taken the error away: go on.
      if (status < 0 && socket->open()) socket->watch();
    });
  }

  static void shut_down(napi_async_cleanup_hook_handle, void* socket) { static_cast<PolledSocket*>(socket)->close(); }

  void receive() {
    const Napi::HandleScope scope(env_);
    for (int i = 0; i < kDatagramsPerTurn && open(); i++) {
      const ssize_t length = ::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
      if (length < 0 && errno == EINTR) continue;
      if (length < 0 && errno != ENOBUFS) return;
      // Lost or cut datagrams become an empty one: the listener has to look at the whole state again.
      const bool whole = length >= 0 && static_cast<size_t>(length) <= buffer_.size();
      deliver(whole ? static_cast<size_t>(length) : 0);
    }
  }

  void deliver(size_t length) {
    auto datagram = Napi::Uint8Array::New(env_, length);
    std::memcpy(datagram.Data(), buffer_.data(), length);
    try {
      on_message_.MakeCallback(env_.Global(), {datagram});
    } catch (const Napi::Error& error) {
      report_uncaught(env_, error);
    }
  }

  Napi::Env env_;
  FileDescriptor fd_;
  Napi::FunctionReference on_message_;
  std::vector<uint8_t> buffer_;
  uv_poll_t* handle_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
};

void send_to(Napi::Env env, const PolledSocket& socket, const void* address, socklen_t address_length,
             std::span<const uint8_t> datagram) {
  if (!socket.open()) throw Napi::Error::New(env, "the socket is closed");
  translated(env, [&] {
    check(::sendto(socket.fd(), datagram.data(), datagram.size(), MSG_DONTWAIT,
                   static_cast<const sockaddr*>(address), address_length),
          "sendto");
  });
}

/** Sends datagrams from a thread of the pool: the kernel does what a netlink datagram asks while it is sent. */
class Sending : public Napi::AsyncWorker {
 public:
  /** `fd`: one of its own, so that the socket may be closed meanwhile. */
  Sending(const Napi::Function& on_sent, FileDescriptor fd, const Napi::Array& datagrams,
          std::vector<std::span<const uint8_t>> octets)
      : Napi::AsyncWorker(on_sent),
        fd_(std::move(fd)),
        kept_(Napi::Persistent(datagrams.As<Napi::Object>())),
        octets_(std::move(octets)) {}

  void Execute() override {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    for (const std::span<const uint8_t> datagram : octets_) {
      const ssize_t sent = ::sendto(fd_.get(), datagram.data(), datagram.size(), MSG_DONTWAIT,
                                    reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
      if (sent >= 0) continue;
      errno_ = errno;
      return;
    }
  }
  void OnOK() override { Callback().Call({Napi::Number::New(Env(), errno_)}); }

 private:
  FileDescriptor fd_;
  Napi::ObjectReference kept_;
  std::vector<std::span<const uint8_t>> octets_;
  int errno_ = 0;
};

std::shared_ptr<PolledSocket> start(Napi::Env env, FileDescriptor fd, const Napi::Function& on_message) {
  auto socket = std::make_shared<PolledSocket>(env, std::move(fd), on_message);
  socket->start();
  return socket;
}

Napi::Object with_close(Napi::Env env, const std::shared_ptr<PolledSocket>& socket) {
  auto object = Napi::Object::New(env);
  object.Set("close", Napi::Function::New(env, [socket](const Napi::CallbackInfo&) { socket->close(); }));
  return object;
}

}  // namespace

Napi::Value open_netlink_socket(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int protocol = static_cast<int>(arguments::integer(info[0], "protocol", 0, 31));
  if (!info[1].IsArray()) throw Napi::TypeError::New(env, "groups: expected an array of group numbers");
  const auto array = info[1].As<Napi::Array>();
  std::vector<uint32_t> groups;
  for (uint32_t i = 0; i < array.Length(); i++)
    groups.push_back(static_cast<uint32_t>(arguments::integer(array.Get(i), "groups", 1, 1024)));
  const Napi::Function on_message = arguments::function(info[2], "onMessage");
  const auto deaf_to = info[3].IsUndefined() ? 0 : arguments::integer(info[3], "deafTo", 0, UINT32_MAX);

  return translated(env, [&] {
    FileDescriptor fd = open_netlink(protocol, groups, static_cast<uint32_t>(deaf_to));
    const uint32_t port = netlink_port(fd.get());
    const auto socket = start(env, std::move(fd), on_message);
    const auto send = [socket](const Napi::CallbackInfo& call) {
      sockaddr_nl kernel{};
      kernel.nl_family = AF_NETLINK;
      send_to(call.Env(), *socket, &kernel, sizeof kernel, arguments::octets(call[0], "datagram"));
    };
    Napi::Object object = with_close(env, socket);
    const auto send_aside = [socket](const Napi::CallbackInfo& call) {
      if (!socket->open()) throw Napi::Error::New(call.Env(), "the socket is closed");
      if (!call[0].IsArray()) throw Napi::TypeError::New(call.Env(), "datagrams: expected an array of Uint8Array");
      const auto datagrams = call[0].As<Napi::Array>();
      std::vector<std::span<const uint8_t>> octets;
      for (uint32_t i = 0; i < datagrams.Length(); i++)
        octets.push_back(arguments::octets(datagrams.Get(i), "datagrams"));
      const Napi::Function on_sent = arguments::function(call[1], "onSent");
      translated(call.Env(), [&] {
        FileDescriptor own(check(::fcntl(socket->fd(), F_DUPFD_CLOEXEC, 0), "fcntl"));
        (new Sending(on_sent, std::move(own), datagrams, std::move(octets)))->Queue();
      });
    };
    object.Set("send", Napi::Function::New(env, send));
    object.Set("sendAside", Napi::Function::New(env, send_aside));
    object.Set("port", Napi::Number::New(env, port));
    return object;
  });
}

Napi::Value open_raw_socket(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int protocol = static_cast<int>(arguments::integer(info[0], "protocol", 1, 255));
  const SocketOptions options = arguments::socket_options(arguments::object(info[1], "options"));
  const Napi::Function on_message = arguments::function(info[2], "onMessage");

  return translated(env, [&] {
    const auto socket = start(env, open_raw(protocol, options), on_message);
    const auto send = [socket](const Napi::CallbackInfo& call) {
      const SocketAddress to(arguments::octets(call[0], "address", {4}), 0);
      send_to(call.Env(), *socket, to.get(), to.length(), arguments::octets(call[1], "packet"));
    };
    Napi::Object object = with_close(env, socket);
    object.Set("sendTo", Napi::Function::New(env, send));
    return object;
  });
}

}  // namespace tunwright
