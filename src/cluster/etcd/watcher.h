// One watch over all keys with a prefix that outlives streams, members and connections: opened again,
// elsewhere when need be, behind the last revision that it brought.
//
// Engine thread only; owned by whoever is told. Destroy it on the engine thread, or after stop().
//
// 1. What it brings is whole revisions, in order, none twice and none left out; or on_compacted() says that
// it
//    cannot go on, and it stops.
// 2. A member that went silent is left: a watch that brings nothing is asked for a sign of life. (Not for
// more:
//    until 3.4.25 such a sign may overtake events, so its revision means nothing here.)
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster/etcd/stream.h"

namespace courier::cluster::etcd {

class Watcher {
 public:
  struct Callbacks {
    // Has at least one event.
    std::function<void(api::WatchResponse&)> on_events;
    // etcd has forgotten what came next. A range read has to fill the gap; then start() again.
    std::function<void()> on_compacted;
  };
  // The client outlives it.
  Watcher(Client& client, std::string prefix, bool deletions, Callbacks callbacks);
  ~Watcher();

  // Brings everything from `revision` on.
  void start(int64_t revision);
  void stop();
  void pause(bool paused);
  // The revision behind the last one that came.
  int64_t next() const { return next_; }

 private:
  void open();
  void reopen_later();
  void on_message(api::WatchResponse& response);
  void on_end(const Error& error);
  void look();

  Client& client_;
  const std::string prefix_;
  const bool deletions_;
  const Callbacks callbacks_;
  std::shared_ptr<WatchStream> stream_;
  int64_t next_ = 0;
  bool running_ = false, paused_ = false;
  MonoNs heard_ns_ = 0, asked_ns_ = 0;  // asked_: 0 while no sign of life is awaited
  Engine::TimerId look_timer_ = 0, open_timer_ = 0;
};

}  // namespace courier::cluster::etcd
