// Gives this node's state to a node that has none: the answering side of cluster/state_stream.h.
//
// A thread of its own per request, one at a time: it copies the store (into data_dir/outgoing), sends the
// copy as fast as the other end takes it, and removes it. Others are told meanwhile that it is busy.
//
// on_request() on the mesh's thread; open() and stop() on the owner's, stop() once no request comes any more.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "cluster/state_stream.h"
#include "mesh/reply.h"
#include "store/state_store.h"

namespace courier::courierd {

class StateGiver {
 public:
  StateGiver() : shared_(std::make_shared<Shared>()) {}
  ~StateGiver() { stop(); }
  StateGiver(const StateGiver&) = delete;
  StateGiver& operator=(const StateGiver&) = delete;

  // Before that the answer is no. `state` outlives stop().
  void open(store::StateStore& state, std::string data_dir);
  // Ends what is under way. Idempotent.
  void stop();

  // `from`: the asker's name, for the log.
  void on_request(const std::string& from, std::string_view body, mesh::Reply reply);

 private:
  // What the thread waits on; a Reply's callback may come when this object is gone.
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool room = false;  // guarded by mutex, like the rest
    bool stopping = false;
  };
  class Stream;

  void give(const std::string& from, mesh::Reply reply);

  const std::shared_ptr<Shared> shared_;
  store::StateStore* state_ = nullptr;  // before open_
  std::string data_dir_;                // likewise
  std::atomic<bool> open_{false};
  std::atomic<bool> busy_{false};  // the thread runs, and will want the store
  std::thread thread_;             // on_request()'s; stop()'s afterwards
};

}  // namespace courier::courierd
