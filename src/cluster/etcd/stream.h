// A stream of messages both ways with one member of etcd: a watch, the keep-alives of a lease.
//
// Everything on the engine thread. Whoever opens one holds a shared_ptr; the stream lives on by itself until
// gRPC has let go of it. After close() no callback comes.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "base/check.h"
#include "cluster/etcd/client.h"

namespace courier::cluster::etcd {

template <typename Request, typename Response>
class Stream : public std::enable_shared_from_this<Stream<Request, Response>> {
 public:
  using Rpc = grpc::ClientAsyncReaderWriter<Request, Response>;
  // Prepares the call on one endpoint: stub->PrepareAsyncWatch(context, queue).
  using Prepare = std::unique_ptr<Rpc> (*)(Client::Endpoint&, grpc::ClientContext*, grpc::CompletionQueue*);
  struct Callbacks {
    std::function<void(Response&)> on_message;
    std::function<void(Error)> on_end;  // once, the last one
  };

  static std::shared_ptr<Stream> open(Client& client, Prepare prepare, Callbacks callbacks) {
    std::shared_ptr<Stream> stream(new Stream(client, std::move(callbacks)));
    client.authenticated([stream, prepare](Result<void> ready) {
      if (!stream->client_.engine().here()) {
        stream->client_.engine().post([stream, prepare, ready] { stream->begin(prepare, ready); });
      } else {
        stream->begin(prepare, ready);
      }
    });
    return stream;
  }

  void send(Request request) {
    if (ended_) return;
    outgoing_.push_back(std::move(request));
    write_next();
  }
  // Nothing more is read while it is paused: what comes waits in the connection, then at the server.
  void pause(bool paused) {
    paused_ = paused;
    read_next();
  }
  size_t endpoint() const { return endpoint_; }

  // No callback from here on.
  void close() {
    callbacks_ = {};
    ended_ = true;
    if (!rpc_ || finishing_) return;
    context_.TryCancel();
    if (started_ && !reading_ && !writing_) finish();
  }

 private:
  struct Step : Operation {
    using Action = void (Stream::*)(bool);
    explicit Step(Action a) : action(a) {}
    void done(bool ok) override {
      const std::shared_ptr<Stream> stream = std::move(self);
      self.reset();
      (stream.get()->*action)(ok);
    }
    std::shared_ptr<Stream> self;  // held while gRPC has the tag
    const Action action;
  };

  Stream(Client& client, Callbacks callbacks) : client_(client), callbacks_(std::move(callbacks)) {}

  void* tag(Step& step) {
    step.self = this->shared_from_this();
    return static_cast<Operation*>(&step);
  }

  void begin(Prepare prepare, const Result<void>& ready) {
    if (ended_) return;
    if (!ready) return end(ready.error());
    endpoint_ = client_.current();
    const bool begun = client_.enter(context_, [&] {
      rpc_ = prepare(client_.endpoint(endpoint_), &context_, &client_.engine().queue());
      rpc_->StartCall(tag(start_));
    });
    if (!begun) end(Error(make_error_code(errc::unavailable), "the connection to etcd was closed"));
  }

  void started(bool ok) {
    started_ = true;
    if (!ok || ended_) return finish();
    read_next();
    write_next();
  }
  void was_read(bool ok) {
    reading_ = false;
    if (!ok) return finish();
    // A copy: it may close the stream.
    if (const auto on_message = callbacks_.on_message) on_message(incoming_);
    if (ended_) return finish();
    read_next();
  }
  void was_written(bool ok) {
    writing_ = false;
    if (!ok || ended_) return finish();
    write_next();
  }
  void finished(bool) {
    client_.left(context_);
    if (ended_) return;  // closed: no fault of the member's
    Error error = client_.error_of(status_, endpoint_);
    if (error.code == make_error_code(errc::unavailable) || status_.ok()) client_.suspect(endpoint_);
    if (status_.ok()) error = Error(make_error_code(errc::unavailable), "the member ended the stream");
    end(std::move(error));
  }

  void read_next() {
    if (!started_ || reading_ || paused_ || finishing_ || ended_) return;
    reading_ = true;
    incoming_.Clear();
    rpc_->Read(&incoming_, tag(read_));
  }
  void write_next() {
    if (!started_ || writing_ || finishing_ || outgoing_.empty()) return;
    writing_ = true;
    request_ = std::move(outgoing_.front());
    outgoing_.pop_front();
    rpc_->Write(request_, tag(write_));
  }
  // Over already, or cancelled by close().
  void finish() {
    if (finishing_) return;
    finishing_ = true;
    rpc_->Finish(&status_, tag(finish_));
  }
  void end(Error error) {
    ended_ = true;
    const auto on_end = std::move(callbacks_.on_end);
    callbacks_ = {};
    if (on_end) on_end(std::move(error));
  }

  Client& client_;
  Callbacks callbacks_;
  grpc::ClientContext context_;
  std::unique_ptr<Rpc> rpc_;
  Response incoming_;
  Request request_;
  std::deque<Request> outgoing_;
  grpc::Status status_;
  size_t endpoint_ = 0;
  bool started_ = false, reading_ = false, writing_ = false, paused_ = false;
  bool finishing_ = false, ended_ = false;
  Step start_{&Stream::started}, read_{&Stream::was_read}, write_{&Stream::was_written},
      finish_{&Stream::finished};
};

using WatchStream = Stream<api::WatchRequest, api::WatchResponse>;
using KeepAliveStream = Stream<api::LeaseKeepAliveRequest, api::LeaseKeepAliveResponse>;

inline std::shared_ptr<WatchStream> open_watch(Client& client, WatchStream::Callbacks callbacks) {
  return WatchStream::open(
      client,
      [](Client::Endpoint& endpoint, grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return endpoint.watch->PrepareAsyncWatch(context, queue);
      },
      std::move(callbacks));
}
inline std::shared_ptr<KeepAliveStream> open_keep_alive(Client& client,
                                                        KeepAliveStream::Callbacks callbacks) {
  return KeepAliveStream::open(
      client,
      [](Client::Endpoint& endpoint, grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return endpoint.lease->PrepareAsyncLeaseKeepAlive(context, queue);
      },
      std::move(callbacks));
}

}  // namespace courier::cluster::etcd
